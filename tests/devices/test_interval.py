from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.interval import median_interval, relative_width, sample_flags


@given(st.lists(st.floats(1e-6, 1e3), min_size=0, max_size=200))
def test_interval_holds_the_median_and_needs_enough_samples(samples: list[float]) -> None:
    found = median_interval(samples)
    if found is None:
        assert len(samples) < 10
        return
    assert len(samples) >= 8
    assert min(samples) <= found[0] <= float(np.median(samples)) * (1 + 1e-9)
    assert float(np.median(samples)) * (1 - 1e-9) <= found[1] <= max(samples)


def test_interval_covers_the_true_median_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    for count in (10, 31, 200):
        intervals = [median_interval(list(rng.lognormal(0.0, 0.5, count))) for _ in range(400)]
        covered = sum(found is not None and found[0] <= 1.0 <= found[1] for found in intervals)
        assert 0.93 <= covered / 400 <= 1.0


def test_width_is_a_share_of_the_median() -> None:
    assert relative_width([1.0] * 20) == 0.0
    assert relative_width([1.0] * 5) == math.inf
    assert relative_width([0.0] * 20) == 0.0
    narrow, wide = [100.0 + 0.1 * i for i in range(50)], [100.0 + 2.0 * i for i in range(50)]
    assert relative_width([8 * sample for sample in wide]) == relative_width(wide) > relative_width(narrow)


STEADY = [1.0 + 0.01 * (i % 5) for i in range(60)]


@pytest.mark.parametrize(
    ("samples", "ci_width", "flags"),
    [
        (STEADY, 0.03, ()),
        (STEADY[:5], 0.03, ("unsteady",)),
        (STEADY[:5], None, ()),
        ([1.0, 2.0] * 30, 0.03, ("unsteady",)),
        (STEADY + [1.2 * sample for sample in STEADY], 0.5, ("drifting",)),
        ([1.2 * sample for sample in STEADY] + STEADY, 0.5, ("drifting",)),
        (STEADY + [1.02 * sample for sample in STEADY], 0.5, ()),
        ([1.0], 0.03, ("unsteady",)),
    ],
)
def test_flags_say_what_speaks_against_the_median(
    samples: list[float], ci_width: float | None, flags: tuple[str, ...]
) -> None:
    assert sample_flags(samples, ci_width) == flags
