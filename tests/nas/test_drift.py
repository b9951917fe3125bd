from __future__ import annotations

import math

import numpy as np
import pytest

from nas.drift import Drift, Point


def series(levels: list[float], *, boot: str = "a", start: float = 0.0, noise: float = 0.002) -> list[Point]:
    rng = np.random.default_rng(0)
    return [
        Point(boot, start + 10 * i, 1e-3 * level * math.exp(noise * rng.standard_normal()))
        for i, level in enumerate(levels)
    ]


def test_a_steady_device_is_left_alone() -> None:
    drift = Drift(series([1.0] * 20))
    assert drift.method == "none"
    assert [drift.factor("a", at_s) for at_s in (0.0, 55.0, 1e6)] == [1.0] * 3
    assert not drift.jumped("a", 55.0)


def test_a_slow_drift_is_followed() -> None:
    levels = [1.0 + 0.1 * i / 40 for i in range(40)]  # 10 % slower in the end
    drift = Drift(series(levels))
    assert drift.method == "smooth"
    usual = float(np.median(levels))
    for i in (0, 7, 20, 33, 39):
        assert drift.factor("a", 10.0 * i) == pytest.approx(levels[i] / usual, rel=0.004)
    assert drift.factor("a", -100.0) == pytest.approx(drift.factor("a", 0.0))
    assert not any(drift.jumped("a", 10.0 * i + 5) for i in range(39))


def test_a_jump_is_told_and_not_smoothed_over() -> None:
    drift = Drift(series([1.0] * 10 + [1.3] * 10))
    assert drift.method == "steps"
    assert drift.jumped("a", 95.0)
    assert not drift.jumped("a", 85.0) and not drift.jumped("a", 105.0)
    assert drift.factor("a", 150.0) / drift.factor("a", 50.0) == pytest.approx(1.3, rel=0.01)


def test_what_surrounds_an_outlier_is_told() -> None:
    drift = Drift(series([1.0] * 6 + [1.5] + [1.0] * 6))
    assert [drift.jumped("a", 10.0 * i + 5) for i in range(12)] == [i in (5, 6) for i in range(12)]


def test_another_start_of_the_machine_is_another_clock() -> None:
    drift = Drift([*series([1.0] * 8), *series([1.02] * 8, boot="b")])
    assert drift.method != "none"
    assert drift.factor("b", 35.0) / drift.factor("a", 35.0) == pytest.approx(1.02, rel=0.005)
    assert not drift.jumped("b", 35.0)
    assert drift.factor("c", 35.0) == 1.0 and not drift.jumped("c", 35.0)


@pytest.mark.parametrize("noise", [0.01, 0.03, 0.06, 0.1])
def test_noise_is_not_taken_for_drift(noise: float) -> None:
    """Of 25 series of a device that never drifts at most one is taken for one that does, however often noise jumps."""
    found = []
    for seed in range(25):
        levels = np.exp(noise * np.random.default_rng(seed).standard_normal(21))
        found.append(Drift(series(levels.tolist(), noise=0.0)).method)
    assert found.count("none") >= 24


def test_drift_is_seen_through_noise() -> None:
    drift = Drift(series([1.0] * 20 + [1.25] * 20, noise=0.03))
    assert drift.factor("a", 300.0) / drift.factor("a", 100.0) == pytest.approx(1.25, rel=0.05)


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_few_sentinels_correct_nothing(count: int) -> None:
    drift = Drift(series([1.0, 1.01, 0.99][:count]))
    assert drift.watched == (count > 0)
    assert drift.factor("a", 5.0) == 1.0
    assert drift.factor("", math.nan) == 1.0 and not drift.jumped("", math.nan)
