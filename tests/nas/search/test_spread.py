"""Advantage over a front, and subsets that lie far apart."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nas.search.spread import Costs, advantage, spread_out


def test_advantage_is_the_shift_that_the_nearest_member_needs() -> None:
    front = np.array([[0.0, 1.0], [0.5, 0.5], [1.0, 0.0]])
    points = np.array([[0.5, 0.5], [0.4, 0.4], [0.7, 0.6], [0.2, 0.7]])
    # As good as a member; better than it by 0.1; behind it; between two members.
    assert np.allclose(advantage(points, front), [0.0, 0.1, -0.1, 0.3])


def test_spread_keeps_the_ends_and_fills_the_gaps_of_any_number_of_objectives() -> None:
    rng = np.random.default_rng(0)
    for objectives in (2, 3, 5):
        costs = rng.dirichlet(np.full(objectives, 0.5), 500)
        kept = spread_out(costs, 40)
        assert len(set(kept.tolist())) == 40
        assert set(costs.argmin(axis=0).tolist()) <= set(kept.tolist())
        to_kept = ((costs[:, None] - costs[kept]) ** 2).sum(axis=2).min(axis=1)
        to_random = ((costs[:, None] - costs[rng.choice(500, 40, replace=False)]) ** 2).sum(axis=2).min(axis=1)
        assert to_kept.max() < to_random.max()


def test_spread_of_few_or_equal_points() -> None:
    assert spread_out(np.zeros((3, 2)), 5).tolist() == [0, 1, 2]
    assert len(set(spread_out(np.zeros((9, 2)), 4).tolist())) == 4


@given(
    arrays(np.float64, st.tuples(st.integers(1, 12), st.just(2)), elements=st.integers(0, 9)),
    arrays(np.float64, st.tuples(st.integers(1, 12), st.just(2)), elements=st.integers(0, 9)),
)
def test_in_a_plane_advantage_is_what_its_definition_says(points: Costs, members: Costs) -> None:
    by_hand = (members - points[:, None]).max(axis=2).min(axis=1)
    assert np.array_equal(advantage(points, members), by_hand)
