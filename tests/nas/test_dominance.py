"""The front of very many points against the full sort."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from nas.dominance import non_dominated
from nas.errors import NasError
from nas.pareto import non_dominated_sort

few_values = st.tuples(st.integers(0, 24), st.integers(1, 5)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=st.sampled_from([0.0, 1.0, 2.0, 3.0, np.inf, -np.inf]))
)


@settings(max_examples=60)
@given(few_values)
def test_front_is_rank_zero(costs: NDArray[np.float64]) -> None:
    assert (non_dominated(costs) == (non_dominated_sort(costs) == 0)).all()


@pytest.mark.parametrize("objectives", [1, 2, 3, 4])
@pytest.mark.parametrize("digits", [1, 6])
def test_many_points_of_which_some_are_equal(objectives: int, digits: int) -> None:
    costs = np.random.default_rng(objectives).random((3000, objectives)).round(digits)
    found = non_dominated(costs)
    dominated = np.zeros(len(costs), bool)
    for point in costs[found]:
        dominated |= (point <= costs).all(axis=1) & (point < costs).any(axis=1)
    assert (found == ~dominated).all()


def test_everything_on_the_front_stays_there() -> None:
    x = np.linspace(0, 1, 5000)
    assert non_dominated(np.stack([x, 1 - x], axis=1)).all()
    assert non_dominated(np.zeros((5000, 2))).all()


@pytest.mark.parametrize("objectives", [2, 3])
@pytest.mark.parametrize("scale", [1e-320, 1e-300, 1.0, 1e300])
def test_ranges_at_the_ends_of_what_a_number_can_be(objectives: int, scale: float) -> None:
    whole = np.random.default_rng(0).integers(-1000, 1000, (2000, objectives)).astype(np.float64)
    assert (non_dominated(whole * scale) == non_dominated(whole)).all()
    spoilt = whole * scale
    spoilt[7] = np.inf
    assert (non_dominated(spoilt)[:7] == non_dominated(whole)[:7]).all()
    spoilt[7] = -1.7e308
    assert non_dominated(spoilt).tolist() == [at == 7 for at in range(len(spoilt))]


def test_values_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(NasError, match=r"points \[1\] are NaN"):
        non_dominated([[0.0, 1.0], [np.nan, 0.0]])
    with pytest.raises(NasError, match="give an array of shape"):
        non_dominated(np.zeros(3))
