"""What is known about one architecture: its metrics, each with its unit and where the figure comes from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, get_args

from nas.errors import NasError
from search_spaces import Architecture
from search_spaces.nearest import nearest

Source: TypeAlias = Literal["measured", "predicted", "counted", "evaluated"]

ACCURACY = "accuracy"
"""Metric name of the share of images classified right, 0 to 1."""

LATENCY = "latency_s"
"""First part of the name of every latency metric; the target's name follows after a dot."""

COUNTED_UNITS: Mapping[str, str] = {
    "macs": "MACs",
    "parameters": "parameters",
    "flash_bytes": "B",
    "peak_activation_bytes": "B",
}
"""Metrics that are counted on the network alone, with their units."""


def latency_metric(target: str) -> str:
    """Metric name of the latency on a target, such as ``latency_s.litert_int8``."""
    return f"{LATENCY}.{target}"


def metric_names(targets: Iterable[str] = ()) -> tuple[str, ...]:
    """Every metric that an objective or a limit can name where these are the targets' names."""
    return (ACCURACY, *COUNTED_UNITS, *(latency_metric(target) for target in targets))


def metric_unit(name: str) -> str:
    """Unit of a metric: ``s``, ``B``, ``MACs``, ``parameters``, or ``1`` for accuracy.

    Raises:
        NasError: no metric has this name.
    """
    if name == ACCURACY:
        return "1"
    if name.startswith(f"{LATENCY}."):
        return "s"
    if name not in COUNTED_UNITS:
        target = name.partition(".")[2]
        raise NasError(f"there is no metric {name!r}{nearest(name, metric_names([target or '<target>']))}")
    return COUNTED_UNITS[name]


def describe_value(name: str, value: float) -> str:
    """A metric's value as people read it: milliseconds, per cent, kB, millions."""
    unit = metric_unit(name)
    if unit == "s":
        return f"{value * 1e3:.3g} ms"
    if unit == "1":
        return f"{value:.2%}"
    if unit == "B":
        return f"{value / 1e3:.4g} kB"
    return f"{value / 1e6:.4g} M {unit}"


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure.

    Attributes:
        value: in the unit of the metric.
        unit: ``s``, ``B``, ``MACs``, ``parameters`` or ``1``.
        source: ``measured`` on the device, ``predicted``, ``counted`` on the network, or ``evaluated`` on images.
        interval: lower and upper end within which the true value is expected, in the same unit.
    """

    value: float
    unit: str
    source: Source
    interval: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        """Check the source."""
        if self.source not in get_args(Source):
            raise NasError(f"metric source {self.source!r} was given; allowed: {list(get_args(Source))}")

    def to_json(self) -> dict[str, Any]:
        """Values that ``json`` writes; the reverse of ``from_json``."""
        row: dict[str, Any] = {"value": self.value, "unit": self.unit, "source": self.source}
        return row if self.interval is None else {**row, "interval": list(self.interval)}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Metric:
        """Read what ``to_json`` made.

        Raises:
            NasError: a key is missing, or a value is of the wrong kind.
        """
        try:
            interval = row.get("interval")
            ends = None if interval is None else (float(interval[0]), float(interval[1]))
            return cls(float(row["value"]), str(row["unit"]), row["source"], ends)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
            raise NasError(f"{row!r} is no metric: {error!r}; it needs value, unit and source") from error


@dataclass(frozen=True)
class Candidate:
    """An architecture with what is known about it.

    A candidate that breaks a hard limit may lack the metrics that cost more to find out than the limit was worth: it
    carries the counted and predicted ones only.

    Attributes:
        arch: the architecture, in canonical form.
        metrics: by name: ``accuracy``, ``macs``, ``parameters``, ``flash_bytes``, ``peak_activation_bytes``,
            ``latency_s.<target>``.
    """

    arch: Architecture
    metrics: Mapping[str, Metric] = field(hash=False)

    def __post_init__(self) -> None:
        """Keep a copy, so that nobody changes the metrics from outside."""
        object.__setattr__(self, "metrics", dict(self.metrics))

    def value(self, metric: str) -> float:
        """A metric's value in its unit.

        Raises:
            NasError: this candidate lacks the metric.
        """
        if metric not in self.metrics:
            raise NasError(f"candidate {self.arch.key} has no metric {metric!r}; it has {sorted(self.metrics)}")
        return self.metrics[metric].value

    def source(self, metric: str) -> Source | None:
        """Where a metric comes from; None where this candidate lacks it."""
        known = self.metrics.get(metric)
        return None if known is None else known.source

    def to_json(self) -> dict[str, Any]:
        """Values that ``json`` writes; ``key`` is there for people and for joining files."""
        return {
            "key": self.arch.key,
            "space": self.arch.space,
            "choices": list(self.arch.choices),
            "metrics": {name: metric.to_json() for name, metric in self.metrics.items()},
        }

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Candidate:
        """Read what ``to_json`` made.

        Raises:
            NasError: a key is missing, or a value is of the wrong kind.
        """
        try:
            arch = Architecture(str(row["space"]), tuple(int(choice) for choice in row["choices"]))
            metrics = dict(row["metrics"])
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise NasError(f"{row!r} is no candidate: {error!r}; it needs space, choices and metrics") from error
        return cls(arch, {name: Metric.from_json(metric) for name, metric in metrics.items()})
