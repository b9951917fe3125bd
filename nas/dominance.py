"""Which of very many points no other point beats."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nas.errors import NasError

_FILTERS: Final = 64
"""Points that all others are first compared with: these few dominate nearly everything that is dominated."""


def checked_costs(costs: ArrayLike) -> NDArray[np.float64]:
    """Costs as an array of shape ``(points, objectives)``.

    Raises:
        NasError: a cost is NaN, or the array is not two-dimensional.
    """
    array = np.asarray(costs, np.float64)
    if array.ndim != 2:
        raise NasError(f"costs have shape {array.shape}; give an array of shape (points, objectives)")
    if np.isnan(array).any():
        rows = np.flatnonzero(np.isnan(array).any(axis=1)).tolist()
        raise NasError(f"costs of points {rows[:10]} are NaN; only numbers can be compared")
    return array


def non_dominated(costs: ArrayLike) -> NDArray[np.bool_]:
    """Whether each point is on the Pareto front; what ``non_dominated_sort(costs) == 0`` gives, but far sooner.

    Points that a few strong ones dominate go first. Of the others, in lexicographic order, none is dominated by a
    later one: with two objectives a running minimum finds the front, with three a staircase in the last two.

    Args:
        costs: shape ``(points, objectives)``, less is better; infinite values are allowed. Equal points do not beat
            each other.

    Returns:
        Shape ``(points,)``.

    Raises:
        NasError: a cost is NaN, or the array is not two-dimensional.
    """
    array = checked_costs(costs)
    on_front = np.zeros(len(array), bool)
    if not array.size:
        return ~on_front
    left = _not_beaten_by_the_strongest(array)
    points = array[left]
    order = np.lexsort(points.T[::-1])
    points = points[order]
    fresh = np.ones(len(points), bool)
    fresh[1:] = (points[1:] != points[:-1]).any(axis=1)
    find = (_first_of_a_line, _of_a_plane, _of_three)[points.shape[1] - 1] if points.shape[1] <= 3 else _of_many
    found = find(points[fresh])
    on_front[left[order]] = found[np.cumsum(fresh) - 1]
    return on_front


def _not_beaten_by_the_strongest(array: NDArray[np.float64]) -> NDArray[np.int64]:
    """Positions of the points that none of a few strong ones dominates."""
    left = np.arange(len(array))
    if len(array) < 4 * _FILTERS:
        return left
    sample = array[:: max(1, len(array) // (64 * _FILTERS))]
    low = sample.min(axis=0)
    span = sample.max(axis=0) - low
    if not np.isfinite(span).all():
        return left
    scaled = (sample - low) / np.where(span > 0, span, 1.0)
    # The strongest in as many directions as there are filters, each a weighting of the objectives.
    weights = np.random.default_rng(0).dirichlet(np.ones(array.shape[1]), _FILTERS)
    for point in sample[np.unique((scaled @ weights.T).argmin(axis=0))]:
        left = left[(array[left] < point).any(axis=1) | (array[left] == point).all(axis=1)]
    return left


def _first_of_a_line(points: NDArray[np.float64]) -> NDArray[np.bool_]:
    first: NDArray[np.bool_] = np.arange(len(points)) == 0
    return first


def _of_a_plane(points: NDArray[np.float64]) -> NDArray[np.bool_]:
    found = np.ones(len(points), bool)
    found[1:] = points[1:, 1] < np.minimum.accumulate(points[:-1, 1])
    return found


def _of_three(points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Sweep in the first objective; a staircase holds the front so far in the other two."""
    found = np.zeros(len(points), bool)
    xs: list[float] = []
    ys: list[float] = []
    for position, (x, y) in enumerate(points[:, 1:].tolist()):
        at = bisect_right(xs, x)
        if at and ys[at - 1] <= y:
            continue
        start = stop = bisect_left(xs, x)
        while stop < len(ys) and ys[stop] >= y:
            stop += 1
        xs[start:stop], ys[start:stop] = [x], [y]
        found[position] = True
    return found


def _of_many(points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Each point against the front so far; the strongest points go first, for they beat most of the others."""
    # By the sum of places in every objective: what beats a point has a smaller one, also where costs are infinite.
    places = [np.unique(column, return_inverse=True)[1].reshape(-1) for column in points.T]
    left = np.argsort(np.sum(places, axis=0), kind="stable")
    found = np.zeros(len(points), bool)
    while len(left):
        # A point of the smallest sum is beaten by none of those left.
        point = points[left[0]]
        found[left[0]] = True
        left = left[(points[left] < point).any(axis=1)]
    return found
