"""Non-dominated sorting, crowding, hypervolume, and the Pareto front of candidates.

Costs are arrays of shape ``(points, objectives)`` of which less is better in every column.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nas.candidate import Candidate
from nas.dominance import checked_costs, non_dominated
from nas.errors import NasError
from nas.objective import Problem

Costs: TypeAlias = NDArray[np.float64]


def non_dominated_sort(costs: ArrayLike) -> NDArray[np.int64]:
    """Rank of every point: 0 for the Pareto front, 1 for the front once those are gone, and so on.

    Points are taken in lexicographic order, so that none is dominated by a later one, and each is put on its front by
    binary search (ENS-BS of Zhang et al. 2015). With up to three objectives a front is a staircase in the last two,
    which makes a test logarithmic: ``O(n log² n)``.

    Args:
        costs: shape ``(points, objectives)``; infinite values are allowed.

    Returns:
        Ranks, shape ``(points,)``. Equal points have equal ranks.

    Raises:
        NasError: a cost is NaN, or the array is not two-dimensional.
    """
    array = checked_costs(costs)
    if not array.size:
        return np.zeros(len(array), np.int64)
    unique, inverse = np.unique(array, axis=0, return_inverse=True)  # sorts lexicographically
    sort = _sort_staircases if unique.shape[1] <= 3 else _sort_many_objectives
    return sort(unique)[inverse.reshape(-1)]


def _sort_staircases(points: Costs) -> NDArray[np.int64]:
    """Ranks of different points with one to three objectives, in lexicographic order."""
    padded = np.zeros((len(points), 3))
    padded[:, : points.shape[1]] = points
    fronts: list[_Staircase] = []
    ranks = np.empty(len(points), np.int64)
    for position, (_, x, y) in enumerate(padded.tolist()):
        low, high = 0, len(fronts)
        while low < high:
            middle = (low + high) // 2
            if fronts[middle].covers(x, y):
                low = middle + 1
            else:
                high = middle
        if low == len(fronts):
            fronts.append(_Staircase())
        fronts[low].add(x, y)
        ranks[position] = low
    return ranks


class _Staircase:
    """Points of the plane that do not dominate one another: x ascending, y descending."""

    def __init__(self) -> None:
        self.xs: list[float] = []
        self.ys: list[float] = []

    def covers(self, x: float, y: float) -> bool:
        """Whether some point is as small as this one in both coordinates."""
        position = bisect_right(self.xs, x)
        return position > 0 and self.ys[position - 1] <= y

    def add(self, x: float, y: float) -> None:
        """Add a point that is not covered, and drop the points that it covers."""
        start = stop = bisect_left(self.xs, x)
        while stop < len(self.ys) and self.ys[stop] >= y:
            stop += 1
        self.xs[start:stop] = [x]
        self.ys[start:stop] = [y]


def _sort_many_objectives(points: Costs) -> NDArray[np.int64]:
    """Ranks of different points with any number of objectives, in lexicographic order."""
    fronts: list[Costs] = []
    sizes: list[int] = []
    ranks = np.empty(len(points), np.int64)
    for position, point in enumerate(points):
        low, high = 0, len(fronts)
        while low < high:
            middle = (low + high) // 2
            if bool((fronts[middle][: sizes[middle]] <= point).all(axis=1).any()):
                low = middle + 1
            else:
                high = middle
        if low == len(fronts):
            fronts.append(np.empty((8, points.shape[1])))
            sizes.append(0)
        if sizes[low] == len(fronts[low]):
            fronts[low] = np.concatenate([fronts[low], np.empty_like(fronts[low])])
        fronts[low][sizes[low]] = point
        sizes[low] += 1
        ranks[position] = low
    return ranks


def constrained_ranks(costs: ArrayLike, violations: ArrayLike) -> NDArray[np.int64]:
    """Ranks under constrained domination (Deb et al. 2002, definition 1).

    Feasible points (violation 0) come first, sorted by domination; the others follow by their violation alone.

    Args:
        costs: shape ``(points, objectives)``; those of infeasible points are not looked at.
        violations: shape ``(points,)``, 0 or more.

    Returns:
        Ranks, shape ``(points,)``.

    Raises:
        NasError: a value is NaN.
    """
    array, broken = np.asarray(costs, np.float64), np.asarray(violations, np.float64)
    if np.isnan(broken).any():
        raise NasError("a constraint violation is NaN; check the metrics that the limits name")
    ranks = np.zeros(len(broken), np.int64)
    feasible = broken <= 0
    ranks[feasible] = non_dominated_sort(array[feasible])
    first = int(ranks[feasible].max()) + 1 if feasible.any() else 0
    ranks[~feasible] = first + np.unique(broken[~feasible], return_inverse=True)[1].reshape(-1)
    return ranks


def crowding_distance(costs: ArrayLike, ranks: NDArray[np.int64] | None = None) -> NDArray[np.float64]:
    """Crowding distance of every point within its front (Deb et al. 2002, section III-B).

    Args:
        costs: shape ``(points, objectives)``, finite.
        ranks: fronts that the points belong to, shape ``(points,)``; one front if None.

    Returns:
        Sum over the objectives of the gap between a point's two neighbours as a share of the front's range, shape
        ``(points,)``; infinite at the ends of a front.

    Raises:
        NasError: a cost is NaN or infinite.
    """
    array = checked_costs(costs)
    if not np.isfinite(array).all():
        raise NasError("crowding distance needs finite costs; leave infeasible points out")
    count = len(array)
    fronts = np.zeros(count, np.int64) if ranks is None else ranks
    distance = np.zeros(count)
    if not count:
        return distance
    for column in array.T:
        order = np.lexsort((column, fronts))
        values, groups = column[order], fronts[order]
        starts = np.r_[True, groups[1:] != groups[:-1]]
        ends = np.r_[starts[1:], True]
        group = np.cumsum(starts) - 1
        spread = (values[ends] - values[starts])[group]
        gaps = np.r_[values[1:], 0.0] - np.r_[0.0, values[:-1]]
        gaps = np.divide(gaps, spread, out=np.zeros(count), where=spread > 0)
        gaps[starts | ends] = np.inf
        distance[order] += gaps
    return distance


def hypervolume(costs: ArrayLike, reference: ArrayLike) -> float:
    """Volume dominated by the points and bounded by a reference point, exact, for up to three objectives.

    Points are swept in order of one objective while the area that they dominate in the other two is kept up to date:
    ``O(n log n)`` (Fonseca et al. 2006, for three objectives).

    Args:
        costs: shape ``(points, objectives)``; points that are not below the reference in every objective add nothing.
        reference: shape ``(objectives,)``.

    Raises:
        NasError: NaN, shapes that do not fit, or more than three objectives.
    """
    array, corner = checked_costs(costs), np.asarray(reference, np.float64)
    if corner.shape != array.shape[1:] or not np.isfinite(corner).all():
        raise NasError(
            f"reference {corner.tolist()} does not fit costs of shape {array.shape}; give one finite value each"
        )
    if len(corner) > 3:
        raise NasError(f"hypervolume is exact for up to 3 objectives; {len(corner)} were given")
    inside = array[(array < corner).all(axis=1)]
    # Fewer than three objectives are a slab of thickness one in the others.
    points = np.zeros((len(inside), 3))
    points[:, : len(corner)] = inside
    bounds = np.ones(3)
    bounds[: len(corner)] = corner
    points = points[np.lexsort((points[:, 1], points[:, 0], points[:, 2]))]
    area = _Area(float(bounds[0]), float(bounds[1]))
    volume, level = 0.0, 0.0
    for x, y, z in points.tolist():
        volume += area.value * (z - level)
        level = z
        area.add(x, y)
    return volume + area.value * (float(bounds[2]) - level)


class _Area:
    """Area dominated by a staircase of points below the corner ``(right, top)``."""

    def __init__(self, right: float, top: float) -> None:
        self.right, self.top = right, top
        self.value = 0.0
        self.xs: list[float] = []
        self.ys: list[float] = []

    def add(self, x: float, y: float) -> None:
        """Add a point."""
        start = bisect_right(self.xs, x)
        height = self.ys[start - 1] if start else self.top
        if height <= y:
            return
        stop, left = start, x
        while stop < len(self.xs) and self.ys[stop] >= y:
            self.value += (self.xs[stop] - left) * (height - y)
            left, height = self.xs[stop], self.ys[stop]
            stop += 1
        end = self.xs[stop] if stop < len(self.xs) else self.right
        self.value += (end - left) * (height - y)
        if start and self.xs[start - 1] == x:
            start -= 1
        self.xs[start:stop] = [x]
        self.ys[start:stop] = [y]


@dataclass(frozen=True)
class ParetoFront:
    """Candidates that keep every limit and that no other candidate beats.

    Attributes:
        problem: what the front is a front of.
        members: from best to worst in the first objective; of candidates with equal objectives only one.
    """

    problem: Problem
    members: tuple[Candidate, ...]

    @classmethod
    def of(cls, candidates: Sequence[Candidate], problem: Problem) -> ParetoFront:
        """The front of some candidates; the order in which they are given does not matter.

        Raises:
            NasError: a metric is NaN or infinite, or missing though no limit is broken.
        """
        scores = problem.scores(candidates)
        kept = np.flatnonzero(scores.violations == 0)
        kept = kept[non_dominated(scores.costs[kept])]
        best: dict[tuple[float, ...], Candidate] = {}
        for position in kept.tolist():
            candidate, point = candidates[position], tuple(scores.costs[position].tolist())
            if point not in best or candidate.arch.key < best[point].arch.key:
                best[point] = candidate
        return cls(problem, tuple(best[point] for point in sorted(best)))

    def __len__(self) -> int:
        return len(self.members)

    def __iter__(self) -> Iterator[Candidate]:
        return iter(self.members)

    def hypervolume(self, reference: Mapping[str, float]) -> float:
        """Exact hypervolume for up to three objectives.

        Args:
            reference: for every objective's metric the worst value that still counts, in the metric's unit.

        Raises:
            NasError: a metric is missing, or there are more than three objectives.
        """
        objectives = self.problem.objectives
        missing = [objective.metric for objective in objectives if objective.metric not in reference]
        if missing:
            raise NasError(f"the hypervolume's reference lacks {missing}; give one value for every objective")
        costs = self.problem.scores(self.members).costs
        return hypervolume(costs, [objective.sign * reference[objective.metric] for objective in objectives])

    def to_json(self) -> dict[str, Any]:
        """Values that ``json`` writes."""
        return {**self.problem.to_json(), "members": [member.to_json() for member in self.members]}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> ParetoFront:
        """Read what ``to_json`` made.

        Raises:
            NasError: a key is missing, or a value is of the wrong kind.
        """
        if not isinstance(row.get("members"), list):
            raise NasError(f"a front needs a list of members; it has {sorted(row)}")
        return cls(Problem.from_json(row), tuple(Candidate.from_json(member) for member in row["members"]))
