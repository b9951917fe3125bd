"""What a report shows, as plain values: read from a run directory by ``load``, drawn by ``figures`` and ``page``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from nas.fleet import How

Pairs: TypeAlias = tuple[tuple[str, str], ...]
"""Names with their values, in the order they are shown."""

_FORMATS = {"onnx": "ONNX", "tflite": "TFLite"}


@dataclass(frozen=True)
class ModelFile:
    """One model file of a network.

    Attributes:
        validation: accuracy that its runtime computes on the images the search was judged on, 0 to 1.
        test: the same on images that nothing was chosen by.
    """

    name: str
    format: str
    precision: str
    bytes: int | None = None
    validation: float | None = None
    test: float | None = None
    sha256: str = ""


@dataclass(frozen=True)
class Target:
    """One device of the run, with the kind of file it runs; nothing is timed on a simulated one."""

    name: str
    device: str
    format: str
    precision: str
    environment: Pairs = ()
    simulated: bool = False

    @property
    def file(self) -> str:
        """The kind of file in words."""
        return f"{_FORMATS.get(self.format, self.format)} {self.precision}"

    def runs(self, file: ModelFile) -> bool:
        """Whether this is the kind of file that the target was measured with."""
        return (file.format, file.precision) == (self.format, self.precision)


@dataclass(frozen=True)
class Latency:
    """Seconds of one network on one target: measured, predicted, or an error that says why there is no measurement."""

    median_s: float | None = None
    p90_s: float | None = None
    predicted_s: float | None = None
    error: str | None = None


@dataclass(frozen=True)
class Member:
    """One network that was measured on every target.

    Attributes:
        key: the architecture's key.
        name: what it is called in the report and in the export folder.
        options: decisions with the options taken.
        accuracy: of the sub-network inside the supernet on validation images, 0 to 1.
        on_front: no other measured network beats it, and it meets the limits.
    """

    key: str
    name: str
    options: Pairs = ()
    input_px: int | None = None
    macs: int | None = None
    parameters: int | None = None
    peak_activation_bytes: int | None = None
    accuracy: float | None = None
    latencies: Mapping[str, Latency] = field(default_factory=dict)
    files: tuple[ModelFile, ...] = ()
    on_front: bool = True

    def latency(self, target: str) -> Latency:
        """Latency on a target, empty if nothing is known."""
        return self.latencies.get(target, Latency())

    def validation_on(self, target: Target) -> float | None:
        """Validation accuracy of the file that the target runs; of the sub-network itself where no file was judged."""
        judged = [file.validation for file in self.files if target.runs(file) and file.validation is not None]
        return judged[0] if judged else self.accuracy

    def test_on(self, target: Target) -> float | None:
        """Test accuracy of the file that the target runs; none before it was exported."""
        return next((file.test for file in self.files if target.runs(file)), None)


@dataclass(frozen=True)
class Searched:
    """One candidate of the search: accuracy in the supernet, latency in seconds on each target and where it is from."""

    key: str
    accuracy: float
    latency_s: Mapping[str, float]
    source: str = "predicted"


@dataclass(frozen=True)
class Scores:
    """How well one predictor did on networks it had not seen; shares are 0 to 1."""

    target: str
    name: str
    used: bool
    verdict: str
    spearman: float | None = None
    kendall: float | None = None
    mape: float | None = None
    mae_s: float | None = None
    within_10_percent: float | None = None
    count: int | None = None
    pairs: tuple[tuple[float, float], ...] = ()
    """Measured and predicted seconds of every held-out network."""


@dataclass(frozen=True)
class Check:
    """One network on one target: seconds predicted, with the interval, and measured."""

    key: str
    name: str
    target: str
    predicted_s: float
    low_s: float
    high_s: float
    measured_s: float
    within: bool

    @property
    def difference(self) -> float:
        """Share of the predicted latency by which the measured one is above it."""
        return self.measured_s / self.predicted_s - 1


@dataclass(frozen=True)
class Refit:
    """A predictor that was fitted again: mean errors on what was confirmed, as shares, before and after."""

    target: str
    predictor: str
    networks: int
    error_before: float | None
    error_after: float | None


@dataclass(frozen=True)
class Round:
    """One round of confirming.

    Attributes:
        number: from 1, the searched front.
        judged: candidates that were judged for it, beyond those of the search.
        refits: of the predictors, before it.
        checks: what it measured.
        contradicted: what could not be explained, a sentence each.
        networks: how many it measured.
        entered: how many of them were new on the measured front.
    """

    number: int
    judged: int
    refits: tuple[Refit, ...]
    checks: tuple[Check, ...]
    contradicted: tuple[str, ...]
    networks: int
    entered: int


@dataclass(frozen=True)
class Fleet:
    """How one latency is made of those on several targets: the ``worst`` or the ``mean`` weighted one."""

    how: How
    weights: Mapping[str, float]


@dataclass(frozen=True)
class Shared:
    """One network that was measured on all of several targets.

    Attributes:
        accuracy: of its least accurate file, 0 to 1.
        latency_s: median by target.
        fleet_s: over the fleet, weighted; none where there is no fleet.
        fronts: names of the targets on whose own front it is, and ``fleet``.
    """

    key: str
    name: str
    accuracy: float
    latency_s: Mapping[str, float]
    fleet_s: float | None
    fronts: tuple[str, ...]


@dataclass(frozen=True)
class Epoch:
    """One row of the training log; accuracies on validation images, 0 to 1."""

    epoch: int
    loss: float | None = None
    smallest: float | None = None
    largest: float | None = None


@dataclass(frozen=True)
class Problem:
    """Something that failed or was dropped, and why."""

    what: str
    network: str
    where: str
    reason: str
    key: str = ""


@dataclass(frozen=True)
class RunData:
    """Everything a report shows; a part whose stage has not run is empty."""

    title: str
    subtitle: str = ""
    config_text: str = ""
    targets: tuple[Target, ...] = ()
    members: tuple[Member, ...] = ()
    searched: tuple[Searched, ...] = ()
    scores: tuple[Scores, ...] = ()
    epochs: tuple[Epoch, ...] = ()
    problems: tuple[Problem, ...] = ()
    provenance: Pairs = ()
    measurements: int = 0
    limits: Mapping[str, float] = field(default_factory=dict)
    """Most seconds allowed, by target."""
    rounds: tuple[Round, ...] = ()
    stopped: str = ""
    """Why there was no further round."""
    fleet: Fleet | None = None
    shared: tuple[Shared, ...] = ()
