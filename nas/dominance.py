"""Which of very many points no other point beats."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nas.errors import NasError

_CELLS: Final = 512
"""Parts of every objective's range by which most dominated points of two or three objectives are found."""
_FILTERS: Final = 64
"""Points that all others are first compared with where there are more objectives: they dominate most of the others."""


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

    Points that are dominated by far, or by a few strong ones, go first. Of the others, in lexicographic order, none is
    dominated by a later one: with two objectives a running minimum finds the front, with three a staircase in the last
    two.

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
    left = (_not_beaten_by_a_cell if array.shape[1] in {2, 3} else _not_beaten_by_the_strongest)(array)
    points = array[left]
    order = np.lexsort(points.T[::-1])
    points = points[order]
    fresh = np.ones(len(points), bool)
    fresh[1:] = (points[1:] != points[:-1]).any(axis=1)
    find = (_first_of_a_line, _of_a_plane, _of_three)[points.shape[1] - 1] if points.shape[1] <= 3 else _of_many
    found = find(points[fresh])
    on_front[left[order]] = found[np.cumsum(fresh) - 1]
    return on_front


def _not_beaten_by_a_cell(array: NDArray[np.float64]) -> NDArray[np.int64]:
    """Positions of the points that none in a cell before theirs dominates, with two or three objectives.

    All objectives but the last are divided into cells. Points in cells that lie before a point's in every one of them
    are better there, so the least of their last objective tells whether one of them beats it.
    """
    everything = np.arange(len(array))
    if len(array) < _CELLS:
        return everything
    last, axes = array[:, -1], array.shape[1] - 1
    low = array.min(axis=0)
    with np.errstate(all="ignore"):
        # A value times the same number never comes before a smaller one, however it is rounded.
        span = array.max(axis=0) - low
        scale = _CELLS / np.where(span > 0, span, 1.0)[:axes]
    if not (np.isfinite(span).all() and np.isfinite(scale).all()):
        return everything
    cells = tuple(np.minimum((array[:, i] - low[i]) * scale[i], _CELLS - 1).astype(np.intp) for i in range(axes))
    least = np.full((_CELLS + 1,) * axes, np.inf)
    np.minimum.at(least, tuple(cell + 1 for cell in cells), last)
    for axis in range(axes):
        np.minimum.accumulate(least, axis=axis, out=least)
    # One place further: what comes before a cell, without the cell itself.
    return np.flatnonzero(~(least[cells] < last))


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
