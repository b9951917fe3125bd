"""Crossover and mutation of many architectures at once."""

from __future__ import annotations

import numpy as np

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
