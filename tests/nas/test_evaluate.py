"""Evaluation, cheapest metrics first, and the accuracy cache."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from nas.errors import NasError
from nas.evaluate import CachedAccuracies, CompositeEvaluator, rescored
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


class CountedAccuracies:
    def __init__(self, value: float = 0.5) -> None:
        self.value = value
        self.calls: list[Architecture] = []

    def __call__(self, archs: Sequence[Architecture]) -> Iterator[tuple[Architecture, float]]:
        for arch in reversed(archs):  # any order will do
            self.calls.append(arch)
            yield arch, self.value


def sample(count: int) -> list[Architecture]:
    return SPACE.architectures(SPACE.sample_indices(np.random.default_rng(0), count))


def test_metrics_say_where_they_come_from() -> None:
    evaluator = CompositeEvaluator(
        SPACE, predictors={"phone": MacsPredictor()}, accuracies=CountedAccuracies(), weight_bits=8, activation_bits=8
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
    accuracies = CountedAccuracies()
    evaluator = CompositeEvaluator(
        SPACE,
        predictors={"phone": MacsPredictor()},
        accuracies=accuracies,
        limits=[limit, Limit("accuracy", at_least=0.9)],
    )
    candidates = evaluator.evaluate(archs)
    kept = [candidate for candidate in candidates if limit.violation(candidate) == 0]
    assert 0 < len(kept) < len(candidates)
    assert accuracies.calls == [candidate.arch for candidate in reversed(kept)]
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
        CompositeEvaluator(SPACE, predictors={}, accuracies=CountedAccuracies(value)).evaluate([SPACE.smallest()])


def accuracies_of(found: CachedAccuracies, archs: Sequence[Architecture]) -> list[float]:
    values = dict(found(archs))
    return [values[arch] for arch in archs]


def test_an_architecture_given_twice_is_evaluated_once_and_told_twice() -> None:
    arch, accuracies, told = SPACE.smallest(), CountedAccuracies(), list[int]()
    candidates = CompositeEvaluator(SPACE, predictors={}, accuracies=accuracies).evaluate([arch, arch], told.append)
    assert [candidate.value("accuracy") for candidate in candidates] == [0.5, 0.5]
    assert len(accuracies.calls) == 1 and sum(told) == 2


def test_cache_evaluates_once_over_processes(tmp_path: Path) -> None:
    path = tmp_path / "cache" / "accuracy.jsonl"
    archs = sample(3)
    first, second = CountedAccuracies(0.25), CountedAccuracies(0.75)
    cached = CachedAccuracies(first, path, weights="w", settings="s")
    assert accuracies_of(cached, archs[:2]) == [0.25] * 2
    assert accuracies_of(cached, archs) == [0.25] * 3
    assert first.calls == [archs[1], archs[0], archs[2]]
    again = CachedAccuracies(second, path, weights="w", settings="s")
    assert accuracies_of(again, archs) == [0.25] * 3
    assert not second.calls
    assert len(again) == 3


def test_what_was_found_before_an_interruption_is_kept(tmp_path: Path) -> None:
    path, archs = tmp_path / "accuracy.jsonl", sample(3)

    def interrupted(given: Sequence[Architecture]) -> Iterator[tuple[Architecture, float]]:
        yield given[2], 0.125
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        accuracies_of(CachedAccuracies(interrupted, path, weights="w", settings="s"), archs)
    accuracies = CountedAccuracies()
    resumed = CachedAccuracies(accuracies, path, weights="w", settings="s")
    assert accuracies_of(resumed, archs) == [0.5, 0.5, 0.125]
    assert len(accuracies.calls) == 2


def test_cache_knows_weights_and_settings_apart(tmp_path: Path) -> None:
    path, arch = tmp_path / "accuracy.jsonl", SPACE.smallest()
    for weights, settings, value in (("w", "s", 0.1), ("v", "s", 0.2), ("w", "t", 0.3)):
        cached = CachedAccuracies(CountedAccuracies(value), path, weights=weights, settings=settings)
        assert accuracies_of(cached, [arch]) == [value]
    known = CachedAccuracies(CountedAccuracies(0.9), path, weights="v", settings="s")
    assert accuracies_of(known, [arch]) == [0.2]


def test_a_line_cut_short_costs_itself_only(tmp_path: Path) -> None:
    path, archs = tmp_path / "accuracy.jsonl", sample(3)
    accuracies_of(CachedAccuracies(CountedAccuracies(0.25), path, weights="w", settings="s"), archs[:2])
    whole = path.read_bytes()
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        accuracies = CountedAccuracies(0.25)
        accuracies_of(CachedAccuracies(accuracies, path, weights="w", settings="s"), archs)
        assert len(accuracies.calls) <= 3
        assert len(CachedAccuracies(accuracies, path, weights="w", settings="s")) == 3


@pytest.mark.parametrize("accuracy", ["[" * 100_000, "1" + "0" * 400, "1e999", '"much"'], ids=lambda text: text[:5])
def test_a_damaged_line_costs_itself_only(accuracy: str, tmp_path: Path) -> None:
    path, (damaged, whole) = tmp_path / "accuracy.jsonl", sample(2)
    rows = [(damaged, accuracy), (whole, "0.25")]
    lines = [
        f'{{"weights": "w", "settings": "s", "arch": "{arch.key}", "accuracy": {value}}}\n' for arch, value in rows
    ]
    path.write_text("".join(lines))
    accuracies = CountedAccuracies()
    assert accuracies_of(CachedAccuracies(accuracies, path, weights="w", settings="s"), [damaged, whole]) == [0.5, 0.25]
    assert accuracies.calls == [damaged]


def test_latencies_are_predicted_anew_and_all_else_stays() -> None:
    archs = SPACE.architectures(SPACE.sample_indices(np.random.default_rng(0), 3))
    slow = {"phone": ConstantPredictor([1.0, 2.0, 3.0]), "board": ConstantPredictor([4.0, 5.0, 6.0])}
    before = CompositeEvaluator(SPACE, predictors=slow, accuracies=CountedAccuracies()).evaluate(archs)
    after = rescored(before, SPACE, {"phone": MacsPredictor()})
    for old, new in zip(before, after, strict=True):
        assert new.arch == old.arch
        assert new.value("latency_s.phone") == old.value("macs") / 1e9
        others = old.metrics.keys() - {"latency_s.phone"}
        assert {name: new.metrics[name] for name in others} == {name: old.metrics[name] for name in others}
    assert rescored([], SPACE, {"phone": MacsPredictor()}) == []
