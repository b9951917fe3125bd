"""How far points are from one another and ahead of a front, in any number of objectives."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Costs = NDArray[np.float64]


def scale_of(costs: Costs) -> tuple[Costs, Costs]:
    """Smallest value and range of every objective, shape ``(objectives,)`` each; a range of zero counts as 1."""
    low = costs.min(axis=0)
    span = costs.max(axis=0) - low
    return low, np.where(span > 0, span, 1.0)


def advantage(points: Costs, front: Costs) -> NDArray[np.float64]:
    """How far each point is from being beaten: the shift in every objective that the nearest member would need.

    The additive epsilon indicator (Zitzler et al. 2003) of the front against a single point: above 0 where no member is
    as good as the point in every objective, and the larger the more a point adds.

    Args:
        points: shape ``(points, objectives)``, in the front's scale.
        front: shape ``(members, objectives)``; at least one member.

    Returns:
        Shape ``(points,)``.
    """
    if points.shape[1] == 2:
        return _advantage_in_a_plane(points, front)
    ahead = front[:, 0] - points[:, [0]]
    for column in range(1, points.shape[1]):
        np.maximum(ahead, front[:, column] - points[:, [column]], out=ahead)
    nearest: NDArray[np.float64] = ahead.min(axis=1)
    return nearest


def _advantage_in_a_plane(points: Costs, front: Costs) -> NDArray[np.float64]:
    """By binary search: along the front one shift grows while the other shrinks; their maximum is least in between."""
    front = front[np.lexsort((front[:, 1], front[:, 0]))]
    x, y = front[:, 0], np.minimum.accumulate(front[:, 1])
    meeting = np.searchsorted(x - y, points[:, 0] - points[:, 1])
    after, before = np.minimum(meeting, len(x) - 1), np.maximum(meeting - 1, 0)
    shifts = [np.maximum(x[at] - points[:, 0], y[at] - points[:, 1]) for at in (before, after)]
    nearest: NDArray[np.float64] = np.minimum(*shifts)
    return nearest


def neighbours(
    scaled: Costs, members: NDArray[np.int64], rng: np.random.Generator, *, drawn: int = 8
) -> NDArray[np.int64]:
    """For each member the one most like it of a few that are drawn at random: what lies near on a front mixes well.

    Args:
        scaled: costs in one scale, shape ``(points, objectives)``, finite.
        members: positions in ``scaled``.
        rng: source of randomness.
        drawn: the more, the nearer.

    Returns:
        Positions, as many as members.
    """
    candidates = rng.integers(0, len(scaled), (drawn, len(members)))
    unlike = ((scaled[candidates] - scaled[members]) ** 2).sum(axis=2)
    nearest: NDArray[np.int64] = candidates[unlike.argmin(axis=0), np.arange(len(members))]
    return nearest


def scaled_costs(costs: Costs) -> Costs:
    """Costs in the scale of those that are known; unknown ones, which are infinite, count as the worst."""
    known = np.asarray(np.isfinite(costs).all(axis=1))
    if not known.any():
        return np.zeros_like(costs)
    low, span = scale_of(costs[known])
    return np.where(known[:, None], (costs - low) / span, 1.0)


def spread_out(costs: Costs, count: int) -> NDArray[np.int64]:
    """Positions of ``count`` points that lie far apart: the best in every objective, then always the loneliest.

    Crowding distance looks at each objective alone and tells neighbours from strangers only where there are two; this
    holds for any number (the farthest-first rule of Gonzalez 1985).

    Args:
        costs: shape ``(points, objectives)``, finite.
        count: how many to keep; all where there are not more.
    """
    if len(costs) <= count:
        return np.arange(len(costs))
    low, span = scale_of(costs)
    scaled = (costs - low) / span
    kept = list(dict.fromkeys(np.argmin(scaled, axis=0).tolist()))[:count]
    distance = np.full(len(costs), np.inf)
    for member in kept:
        np.minimum(distance, ((scaled - scaled[member]) ** 2).sum(axis=1), out=distance)
    distance[kept] = -1.0
    while len(kept) < count:
        kept.append(int(distance.argmax()))
        np.minimum(distance, ((scaled - scaled[kept[-1]]) ** 2).sum(axis=1), out=distance)
        distance[kept[-1]] = -1.0
    return np.sort(np.array(kept, np.int64))
