"""Evaluation, cheapest metrics first, and the accuracy cache."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from nas.errors import NasError
from nas.evaluate import CachedAccuracy, CompositeEvaluator, rescored
from nas.objective import Limit
from search_spaces import Architecture, Network, get_space, macs, peak_activation_bytes

SPACE = get_space("mobilenetv3_32")


class MacsPredictor:
    """A device that does 10^9 multiply-accumulates a second."""

    def predict(self, networks: Sequence[Network]) -> NDArray[np.float64]:
        return np.array([macs(network) / 1e9 for network in networks])


class ConstantPredictor:
    def __init__(self, values: list[float]) -> None:
        self._values = values

    def predict(self, networks: Sequence[Network]) -> NDArray[np.float64]:
        return np.array(self._values)


class CountedAccuracy:
    def __init__(self, value: float = 0.5) -> None:
        self.value = value
        self.calls: list[Architecture] = []

    def __call__(self, arch: Architecture) -> float:
        self.calls.append(arch)
        return self.value


def sample(count: int) -> list[Architecture]:
    return SPACE.architectures(SPACE.sample_indices(np.random.default_rng(0), count))


def test_metrics_say_where_they_come_from() -> None:
    evaluator = CompositeEvaluator(
        SPACE, predictors={"phone": MacsPredictor()}, accuracy=CountedAccuracy(), weight_bits=8, activation_bits=8
    )
    (candidate,) = evaluator.evaluate([SPACE.largest()])
    network = SPACE.lower(SPACE.largest())
    assert {name: metric.source for name, metric in candidate.metrics.items()} == {
        "macs": "counted",
        "parameters": "counted",
        "flash_bytes": "counted",
        "peak_activation_bytes": "counted",
        "latency_s.phone": "predicted",
        "accuracy": "evaluated",
    }
    assert candidate.value("latency_s.phone") == pytest.approx(candidate.value("macs") / 1e9)
    assert candidate.value("peak_activation_bytes") == peak_activation_bytes(network, 8)
    assert candidate.value("flash_bytes") < 4 * candidate.value("parameters")
    assert evaluator.evaluate([]) == []


def test_architectures_come_back_in_canonical_form() -> None:
    smallest, largest = SPACE.smallest(), SPACE.largest()
    depth = [decision.name for decision in SPACE.decisions].index("stages.0.depth")
    shallow = Architecture(
        SPACE.name, (*largest.choices[:depth], smallest.choices[depth], *largest.choices[depth + 1 :])
    )
    (candidate,) = CompositeEvaluator(SPACE, predictors={}).evaluate([shallow])
    assert candidate.arch == SPACE.canonical(shallow) != shallow


def test_accuracy_is_not_evaluated_where_a_cheap_limit_is_broken() -> None:
    archs = sample(12)
    limit = Limit("latency_s.phone", at_most=float(np.median([macs(SPACE.lower(arch)) for arch in archs])) / 1e9)
    accuracy = CountedAccuracy()
    evaluator = CompositeEvaluator(
        SPACE, predictors={"phone": MacsPredictor()}, accuracy=accuracy, limits=[limit, Limit("accuracy", at_least=0.9)]
    )
    candidates = evaluator.evaluate(archs)
    kept = [candidate for candidate in candidates if limit.violation(candidate) == 0]
    assert 0 < len(kept) < len(candidates)
    assert accuracy.calls == [candidate.arch for candidate in kept]
    assert all(("accuracy" in candidate.metrics) == (candidate in kept) for candidate in candidates)


@pytest.mark.parametrize("values", [[math.nan], [math.inf], [-1e-3], [0.0]])
def test_predictions_that_are_no_times_are_refused(values: list[float]) -> None:
    evaluator = CompositeEvaluator(SPACE, predictors={"phone": ConstantPredictor(values)})
    with pytest.raises(NasError, match=r"predictor of 'phone' predicts .* which is no time"):
        evaluator.evaluate([SPACE.smallest()])


def test_predictions_of_the_wrong_shape_are_refused() -> None:
    evaluator = CompositeEvaluator(SPACE, predictors={"phone": ConstantPredictor([1.0, 2.0])})
    with pytest.raises(NasError, match=r"gave shape \(2,\) for 1 networks"):
        evaluator.evaluate([SPACE.smallest()])


@pytest.mark.parametrize("value", [math.nan, 1.5, -0.1])
def test_accuracies_that_are_no_share_are_refused(value: float) -> None:
    with pytest.raises(NasError, match="share from 0 to 1"):
        CompositeEvaluator(SPACE, predictors={}, accuracy=CountedAccuracy(value)).evaluate([SPACE.smallest()])


def test_cache_evaluates_once_over_processes(tmp_path: Path) -> None:
    path = tmp_path / "cache" / "accuracy.jsonl"
    archs = sample(3)
    first, second = CountedAccuracy(0.25), CountedAccuracy(0.75)
    cached = CachedAccuracy(first, path, weights="w", settings="s")
    assert [cached(arch) for arch in [*archs, *archs]] == [0.25] * 6
    assert first.calls == archs
    again = CachedAccuracy(second, path, weights="w", settings="s")
    assert [again(arch) for arch in archs] == [0.25] * 3
    assert not second.calls
    assert len(again) == 3


def test_cache_knows_weights_and_settings_apart(tmp_path: Path) -> None:
    path, arch = tmp_path / "accuracy.jsonl", SPACE.smallest()
    for weights, settings, value in (("w", "s", 0.1), ("v", "s", 0.2), ("w", "t", 0.3)):
        assert CachedAccuracy(CountedAccuracy(value), path, weights=weights, settings=settings)(arch) == value
    assert CachedAccuracy(CountedAccuracy(0.9), path, weights="v", settings="s")(arch) == 0.2


def test_a_line_cut_short_costs_itself_only(tmp_path: Path) -> None:
    path, archs = tmp_path / "accuracy.jsonl", sample(3)
    cached = CachedAccuracy(CountedAccuracy(0.25), path, weights="w", settings="s")
    for arch in archs[:2]:
        cached(arch)
    whole = path.read_bytes()
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        accuracy = CountedAccuracy(0.25)
        resumed = CachedAccuracy(accuracy, path, weights="w", settings="s")
        for arch in archs:
            resumed(arch)
        assert len(accuracy.calls) <= 3
        assert len(CachedAccuracy(accuracy, path, weights="w", settings="s")) == 3


def test_latencies_are_predicted_anew_and_all_else_stays() -> None:
    archs = SPACE.architectures(SPACE.sample_indices(np.random.default_rng(0), 3))
    slow = {"phone": ConstantPredictor([1.0, 2.0, 3.0]), "board": ConstantPredictor([4.0, 5.0, 6.0])}
    before = CompositeEvaluator(SPACE, predictors=slow, accuracy=CountedAccuracy()).evaluate(archs)
    after = rescored(before, SPACE, {"phone": MacsPredictor()})
    for old, new in zip(before, after, strict=True):
        assert new.arch == old.arch
        assert new.value("latency_s.phone") == old.value("macs") / 1e9
        others = old.metrics.keys() - {"latency_s.phone"}
        assert {name: new.metrics[name] for name in others} == {name: old.metrics[name] for name in others}
    assert rescored([], SPACE, {"phone": MacsPredictor()}) == []
