"""Listing small spaces, remembering what was seen, and drawing what was not."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from nas.search.rows import pack, row_keys, rows_of, rows_of_keys, unpack
from nas.search.unseen import Unseen, enumerate_space
from search_spaces import Architecture, SearchSpace, get_space


def test_listing_has_every_canonical_architecture_once(space: SearchSpace) -> None:
    every = itertools.product(*(range(len(decision.options)) for decision in space.decisions))
    canonical = {space.canonical(Architecture(space.name, choices)).choices for choices in every}
    listed = [tuple(row) for row in enumerate_space(space).tolist()]
    assert listed == sorted(canonical)
    assert len(listed) == space.size


def test_keys_and_rows_are_each_others_reverse(space: SearchSpace) -> None:
    rows = enumerate_space(space)
    keys = row_keys(rows)
    assert len(set(keys)) == len(rows)
    assert (rows_of_keys(keys, rows.shape[1]) == rows).all()
    assert unpack(pack(keys), rows.shape[1]) == keys
    assert rows_of_keys([], rows.shape[1]).shape == (0, rows.shape[1])
    assert (rows_of(space, space.architectures(rows)) == rows).all()
    with pytest.raises(ValueError, match="whole number of rows"):
        unpack(pack([keys[0][:-1]]), rows.shape[1])


def test_draws_are_new_until_nothing_is_left(space: SearchSpace) -> None:
    unseen, rng = Unseen(space), np.random.default_rng(0)
    keys = [key for _ in range(10) for key in row_keys(unseen.draw(rng, 7))]
    assert len(keys) == len(set(keys)) == space.size == len(unseen)
    assert all(key in unseen for key in keys)
    assert unseen.keys == keys
    assert len(unseen.draw(rng, 3)) == 0


def test_taking_skips_what_is_known_and_repeats_within(space: SearchSpace) -> None:
    unseen, rows = Unseen(space), enumerate_space(space)[:3]
    unseen.add(row_keys(rows[:1]))
    assert (unseen.take(rows[[0, 1, 1, 2, 2]], 9) == rows[1:]).all()
    assert len(unseen.take(rows, 9)) == 0


def test_large_spaces_are_not_listed() -> None:
    space = get_space("mobilenetv3")
    rows = Unseen(space).draw(np.random.default_rng(0), 50)
    assert len(set(row_keys(rows))) == 50
