"""From architectures to candidates, cheapest metrics first."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nas.candidate import ACCURACY, COUNTED_UNITS, Candidate, Metric, latency_metric, metric_unit
from nas.errors import NasError
from nas.objective import Limit
from search_spaces import (
    Architecture,
    Network,
    SearchSpace,
    flash_bytes,
    macs,
    parameters,
    peak_activation_bytes,
)

Accuracies: TypeAlias = Callable[[Sequence[Architecture]], Iterable[tuple[Architecture, float]]]
"""Finds the accuracies of architectures, each given once; every one is told as soon as it is found, in any order."""

Advance: TypeAlias = Callable[[int], None]
"""Told of how many more architectures all is known."""


class Evaluator(Protocol):
    """Finds out what a search has to know about architectures."""

    def evaluate(self, archs: Sequence[Architecture], advance: Advance = ...) -> list[Candidate]:
        """One candidate for every architecture, in order."""
        ...


class NetworkPredictor(Protocol):
    """The part of a latency predictor that is needed here."""

    def predict(self, networks: Sequence[Network]) -> NDArray[np.float64]:
        """Latencies in seconds, shape ``(networks,)``."""
        ...


class CompositeEvaluator:
    """Counts, then predicts latencies, and only then evaluates accuracy, which costs most.

    A candidate whose counted or predicted metrics break a limit is not evaluated any further: it carries the cheap
    metrics alone, and searchers rank it by how far it is beyond the limit.

    Args:
        space: lowers the architectures.
        predictors: fitted latency predictor of every target, by the target's name.
        accuracies: shares of validation images that architectures classify right; None leaves the metric out.
        limits: hard limits.
        any_of: several sets of limits in the place of one; a candidate is evaluated that keeps all of some set.
        weight_bits: bits of a deployed weight, for ``flash_bytes``.
        activation_bits: bits of a deployed activation, for ``peak_activation_bytes``.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        predictors: Mapping[str, NetworkPredictor],
        accuracies: Accuracies | None = None,
        limits: Sequence[Limit] = (),
        any_of: Sequence[Sequence[Limit]] = (),
        weight_bits: int = 32,
        activation_bits: int = 32,
    ) -> None:
        self._space = space
        self._predictors = dict(predictors)
        self._accuracies = accuracies
        self._any_of = tuple(any_of) or (limits,)
        self._weight_bits = weight_bits
        self._activation_bits = activation_bits

    def evaluate(self, archs: Sequence[Architecture], advance: Advance = lambda _: None) -> list[Candidate]:
        """Every metric of the architectures that keep the cheap limits, the cheap metrics of the others.

        Raises:
            NasError: a prediction that is no time, or an accuracy outside 0 to 1.
            SpaceError: an architecture that does not belong to the space.
        """
        candidates = self.cheap(archs)
        if self._accuracies is None:
            advance(len(candidates))
            return candidates
        kept = {candidate.arch.key: candidate.arch for candidate in candidates if not self._broken(candidate)}
        advance(len(candidates) - len(kept))
        found: dict[str, dict[str, Metric]] = {}
        for arch, value in self._accuracies(list(kept.values())):
            found[arch.key] = {ACCURACY: _accuracy(arch, value)}
            advance(1)
        return [Candidate(c.arch, {**c.metrics, **found.get(c.arch.key, {})}) for c in candidates]

    def cheap(self, archs: Sequence[Architecture]) -> list[Candidate]:
        """Counted and predicted metrics only.

        Raises:
            NasError: a prediction that is no time.
            SpaceError: an architecture that does not belong to the space.
        """
        if not archs:
            return []
        canonical = [self._space.canonical(arch) for arch in archs]
        networks = [self._space.lower(arch) for arch in canonical]
        metrics = [self._count(network) for network in networks]
        for target, predictor in self._predictors.items():
            _add_latencies(metrics, predictor, target, networks)
        return [Candidate(arch, row) for arch, row in zip(canonical, metrics, strict=True)]

    def _count(self, network: Network) -> dict[str, Metric]:
        values = {
            "macs": macs(network),
            "parameters": parameters(network),
            "flash_bytes": flash_bytes(network, self._weight_bits),
            "peak_activation_bytes": peak_activation_bytes(network, self._activation_bits),
        }
        return {name: Metric(float(value), COUNTED_UNITS[name], "counted") for name, value in values.items()}

    def _broken(self, candidate: Candidate) -> bool:
        return all(breaks(candidate, limits) for limits in self._any_of)


def breaks(candidate: Candidate, limits: Iterable[Limit]) -> bool:
    """Whether a candidate breaks one of some limits, as far as it has their metrics."""
    return any(limit.metric in candidate.metrics and limit.violation(candidate) > 0 for limit in limits)


def rescored(
    candidates: Sequence[Candidate], space: SearchSpace, predictors: Mapping[str, NetworkPredictor]
) -> list[Candidate]:
    """The candidates with their latencies predicted anew; all else that is known of them stays.

    Args:
        candidates: of the space, in canonical form.
        space: lowers them.
        predictors: by target; latencies on other targets stay too.

    Raises:
        NasError: a prediction that is no time.
    """
    networks = [space.lower(candidate.arch) for candidate in candidates]
    metrics = [dict(candidate.metrics) for candidate in candidates]
    for target, predictor in predictors.items():
        _add_latencies(metrics, predictor, target, networks)
    return [Candidate(candidate.arch, row) for candidate, row in zip(candidates, metrics, strict=True)]


def _add_latencies(
    metrics: Sequence[dict[str, Metric]], predictor: NetworkPredictor, target: str, networks: Sequence[Network]
) -> None:
    for row, latency_s in zip(metrics, _predict(predictor, target, networks), strict=True):
        row[latency_metric(target)] = Metric(latency_s, "s", "predicted")


def _predict(predictor: NetworkPredictor, target: str, networks: Sequence[Network]) -> list[float]:
    latencies_s = np.asarray(predictor.predict(networks), np.float64)
    if latencies_s.shape != (len(networks),):
        raise NasError(
            f"the latency predictor of {target!r} gave shape {latencies_s.shape} for {len(networks)} networks; "
            "one value each is needed"
        )
    bad = latencies_s[~(np.isfinite(latencies_s) & (latencies_s > 0))]
    if len(bad):
        raise NasError(
            f"the latency predictor of {target!r} predicts {bad[0]} s for one of {len(networks)} networks, which is no "
            "time; profile more networks, or choose another predictor"
        )
    return list(map(float, latencies_s))


def _accuracy(arch: Architecture, value: float) -> Metric:
    if not 0 <= value <= 1:
        raise NasError(f"the accuracy of {arch.key} is {value}; it should be a share from 0 to 1")
    return Metric(value, metric_unit(ACCURACY), "evaluated")


class CachedAccuracies:
    """Accuracies that are evaluated once for an architecture, the weights, and the settings of the evaluation.

    Every new value is on disk before it is used, so a killed search evaluates nothing twice. The file has one JSON
    object a line and is shared by all weights and settings; lines cut short by a kill, or damaged, are passed over.

    Args:
        accuracies: evaluates architectures.
        path: file that the values are kept in; made where it is missing.
        weights: digest of the weights.
        settings: digest of all else that the value depends on, such as the images and the statistics' settings.
    """

    def __init__(self, accuracies: Accuracies, path: Path, *, weights: str, settings: str) -> None:
        self._accuracies = accuracies
        self._path = path
        self._scope = {"weights": weights, "settings": settings}
        self._known = dict(self._read())

    def __call__(self, archs: Sequence[Architecture]) -> Iterator[tuple[Architecture, float]]:
        """The architectures' accuracies, those first that are in the file."""
        unknown = [arch for arch in archs if arch.key not in self._known]
        yield from [(arch, self._known[arch.key]) for arch in archs if arch.key in self._known]
        for arch, value in self._accuracies(unknown) if unknown else ():
            if math.isfinite(value):
                self._append({"arch": arch.key, **self._scope, "accuracy": value})
            self._known[arch.key] = value
            yield arch, value

    def __len__(self) -> int:
        return len(self._known)

    def _read(self) -> list[tuple[str, float]]:
        if not self._path.exists():
            return []
        found = []
        for line in self._path.read_bytes().splitlines():
            try:
                row = json.loads(line)
                value = float(row["accuracy"])
                if math.isfinite(value) and all(row[name] == given for name, given in self._scope.items()):
                    found.append((str(row["arch"]), value))
            except (KeyError, OverflowError, RecursionError, TypeError, ValueError):  # cut short by a kill, or damaged
                continue
        return found

    def _append(self, row: Mapping[str, str | float]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a+b") as file:
            # A line that a kill cut short is ended first, so that it spoils no line but itself.
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 1))
            torn = size > 0 and file.read(1) != b"\n"
            file.write(b"\n" * torn + json.dumps(row).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
