"""Crossover and mutation of many architectures at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nas.search.rows import Indices
from search_spaces import SearchSpace


def crossover(space: SearchSpace, left: Indices, right: Indices, rng: np.random.Generator) -> Indices:
    """Uniform crossover: every choice comes from either parent.

    A choice that matters in one parent only comes from that parent, for the other's is a placeholder.

    Args:
        space: what the rows belong to.
        left: canonical rows, shape ``(pairs, decisions)``.
        right: the other parents, same shape.
        rng: source of randomness.

    Returns:
        One canonical child a pair, same shape.
    """
    matters_left, matters_right = space.active(left), space.active(right)
    from_right = rng.random(left.shape) < 0.5
    from_right = np.where(matters_left ^ matters_right, matters_right, from_right)
    return space.canonical_indices(np.where(from_right, right, left))


def mutate(space: SearchSpace, rows: Indices, rate: float, rng: np.random.Generator) -> Indices:
    """Move each choice that matters to another option with this probability.

    Decisions that start to matter because of a move are drawn afresh.

    Args:
        space: what the rows belong to.
        rows: canonical rows, shape ``(architectures, decisions)``.
        rate: probability of a move, 0 to 1.
        rng: source of randomness.

    Returns:
        Canonical rows, same shape.
    """
    counts = np.broadcast_to(space.option_counts, rows.shape)
    moves = (rng.random(rows.shape) < rate) & (counts > 1)
    steps = rng.integers(1, np.maximum(counts, 2))
    fresh = rng.integers(0, counts)
    moved = np.where(moves, (rows + steps) % counts, rows)
    return space.canonical_indices(np.where(space.active(rows), moved, fresh))


def single_moves(space: SearchSpace, rows: Indices, members: NDArray[np.int64]) -> tuple[Indices, NDArray[np.int64]]:
    """All that one changed choice makes of some rows; choices that start to matter because of it are the first option.

    Args:
        space: what the rows belong to.
        rows: canonical rows, shape ``(architectures, decisions)``.
        members: positions in ``rows`` of those that are changed.

    Returns:
        Canonical rows, and for each the position in ``rows`` of the one that it was made from.
    """
    counts = space.option_counts
    columns = np.repeat(np.arange(len(counts)), counts - 1)
    steps = np.concatenate([np.arange(1, count) for count in counts])
    before = rows[members]
    moved = np.repeat(before[:, None], len(columns), axis=1)
    moved[:, np.arange(len(columns)), columns] = (before[:, columns] + steps) % counts[columns]
    matters = space.active(before)[:, columns]
    return space.canonical_indices(moved[matters]), np.repeat(members, len(columns))[matters.reshape(-1)]
