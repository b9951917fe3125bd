"""NSGA-II (Deb et al. 2002) over option indices, with constrained domination and no architecture twice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nas.errors import NasError
from nas.objective import Problem, Scores
from nas.pareto import constrained_ranks, crowding_distance
from nas.search.base import check_whole
from nas.search.operators import crossover, mutate
from nas.search.registry import register_searcher
from nas.search.resumable import ResumableSearcher
from nas.search.rows import Indices, pack, row_keys, rows_of_keys, unpack
from search_spaces import SearchSpace

_MOST: Final = 1_000_000


@register_searcher("nsga2")
class Nsga2Searcher(ResumableSearcher):
    """Multi-objective evolution (NSGA-II) with hard limits by constrained domination.

    The first ``population`` proposals are the smallest architecture, the largest, and random ones. After that every
    proposal is a child of two survivors of everything told so far: asked for ``population`` at a time this is the
    paper's generational algorithm, asked for fewer its steady-state form, and no call ever waits for results.

    Args:
        space: what is searched.
        problem: objectives and limits.
        rng: source of randomness.
        population: number of survivors; 4 or more.
        crossover_rate: share of children that have two parents rather than one.
        mutation_rate: probability that a child's choice moves to another option; by default 1 in the number of
            decisions.

    Raises:
        NasError: a setting out of range.
    """

    name = "nsga2"

    def __init__(
        self,
        space: SearchSpace,
        problem: Problem,
        rng: np.random.Generator,
        *,
        population: int = 100,
        crossover_rate: float = 0.9,
        mutation_rate: float | None = None,
    ) -> None:
        super().__init__(space, problem, rng)
        rate = 1 / len(space.decisions) if mutation_rate is None else mutation_rate
        check_whole(self.name, "population", population, 4, _MOST)
        odd = any(isinstance(given, bool) for given in (crossover_rate, rate))
        if odd or not 0 <= crossover_rate <= 1 or not 0 < rate <= 1:
            raise NasError(f"nsga2: crossover_rate {crossover_rate} and mutation_rate {rate} are probabilities")
        self._size = population
        self._crossover_rate = crossover_rate
        self._mutation_rate = rate
        # Survivors from best to worst: rank first, then crowding.
        self._rows: Indices = np.empty((0, len(space.decisions)), np.int64)
        self._costs: NDArray[np.float64] = np.empty((0, len(problem.objectives)))
        self._violations: NDArray[np.float64] = np.empty(0)

    def _propose(self, count: int) -> Indices:
        first = min(max(0, self._size - len(self._unseen)), count) if len(self._rows) else count
        found = self._first(first)
        return self._bred(found, count, self._breed, self._mutation_rate) if count > first else found

    def _breed(self, count: int, mutation_rate: float) -> Indices:
        # Binary tournaments: survivors are in order of merit, so the smaller position wins.
        parents = self._rng.integers(0, len(self._rows), (2, 2, count)).min(axis=0)
        left, right = self._rows[parents]
        alone = self._rng.random((count, 1)) >= self._crossover_rate
        children = crossover(self._space, left, np.where(alone, left, right), self._rng)
        return mutate(self._space, children, mutation_rate, self._rng)

    def _learn(self, rows: Indices, scores: Scores) -> None:
        rows = np.concatenate([self._rows, rows])
        costs = np.concatenate([self._costs, scores.costs])
        violations = np.concatenate([self._violations, scores.violations])
        ranks = constrained_ranks(costs, violations)
        crowding = np.zeros(len(rows))
        feasible = violations == 0
        crowding[feasible] = crowding_distance(costs[feasible], ranks[feasible])
        kept = np.lexsort((-crowding, ranks))[: self._size]
        self._rows, self._costs, self._violations = rows[kept], costs[kept], violations[kept]

    def _memory(self) -> dict[str, Any]:
        # Infinite costs stand for unknown ones of infeasible candidates; JSON has no infinity.
        costs = [[cost if np.isfinite(cost) else None for cost in row] for row in self._costs.tolist()]
        return {"population": pack(row_keys(self._rows)), "costs": costs, "violations": self._violations.tolist()}

    def _remember(self, memory: Mapping[str, Any]) -> None:
        decisions, objectives = len(self._space.decisions), len(self._problem.objectives)
        rows = rows_of_keys(unpack(memory["population"], decisions), decisions)
        costs = [[np.inf if cost is None else cost for cost in row] for row in memory["costs"]]
        self._costs = np.array(costs, np.float64).reshape(len(rows), objectives)
        self._violations = np.array(memory["violations"], np.float64).reshape(len(rows))
        self._rows = rows
