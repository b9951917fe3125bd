"""Vectorised crossover and mutation."""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nas.search.operators import crossover, mutate, single_moves
from search_spaces import SearchSpace, get_space

reuse_fixtures = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=25)


@reuse_fixtures
@given(seed=st.integers(0, 2**32))
def test_every_choice_of_a_child_is_a_parents_where_it_matters(space: SearchSpace, seed: int) -> None:
    rng = np.random.default_rng(seed)
    left, right = space.sample_indices(rng, 40), space.sample_indices(rng, 40)
    child = crossover(space, left, right, rng)
    assert (space.canonical_indices(child) == child).all()
    from_left = (child == left) & space.active(left)
    from_right = (child == right) & space.active(right)
    assert (from_left | from_right | ~space.active(child)).all()
    assert (crossover(space, left, left, rng) == left).all()


@reuse_fixtures
@given(seed=st.integers(0, 2**32), rate=st.floats(0, 1))
def test_mutants_are_valid_and_canonical(space: SearchSpace, seed: int, rate: float) -> None:
    rng = np.random.default_rng(seed)
    mutants = mutate(space, space.sample_indices(rng, 40), rate, rng)
    assert (space.canonical_indices(mutants) == mutants).all()
    assert ((mutants >= 0) & (mutants < space.option_counts)).all()


def test_rate_is_the_share_of_choices_that_move() -> None:
    space, rng = get_space("mobilenetv3"), np.random.default_rng(0)
    rows = space.sample_indices(rng, 4000)
    mutants = mutate(space, rows, 0.1, rng)
    always = space.active(rows).all(axis=0) & (space.option_counts > 1)
    share = (mutants != rows)[:, always].mean(axis=0)
    assert np.abs(share - 0.1).max() < 0.03
    assert (mutate(space, rows, 0.0, rng) == rows).all()


def test_choices_that_start_to_matter_are_drawn_afresh(space: SearchSpace) -> None:
    rng = np.random.default_rng(0)
    shallow = np.repeat(space.indices([space.smallest()]), 3000, axis=0)
    mutants = mutate(space, shallow, 0.5, rng)
    woken = mutants[space.active(mutants)[:, 1]]
    assert np.abs(np.bincount(woken[:, 1], minlength=3) / len(woken) - 1 / 3).max() < 0.05


@reuse_fixtures
@given(seed=st.integers(0, 2**32))
def test_single_moves_are_all_that_one_changed_choice_makes(space: SearchSpace, seed: int) -> None:
    rows = space.sample_indices(np.random.default_rng(seed), 5)
    moved, origins = single_moves(space, rows, np.array([3, 1]))
    assert set(origins.tolist()) == {1, 3}
    for member in (1, 3):
        expected = []
        for column, matters in enumerate(space.active(rows)[member]):
            for option in range(space.option_counts[column] if matters else 0):
                other = rows[member].copy()
                other[column] = option
                if option != rows[member, column]:
                    expected.append(tuple(space.canonical_indices(other[None])[0]))
        assert sorted(map(tuple, moved[origins == member])) == sorted(expected)
