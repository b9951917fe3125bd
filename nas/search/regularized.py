"""Regularised evolution (Real et al. 2019): the oldest dies, not the worst."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nas.objective import Problem, Scores
from nas.search.base import check_whole
from nas.search.operators import mutate
from nas.search.registry import register_searcher
from nas.search.resumable import ResumableSearcher
from nas.search.rows import Indices, pack, pack_floats, row_keys, rows_of_keys, unpack, unpack_floats
from nas.search.weighing import weighted
from search_spaces import SearchSpace

_ROUNDS: Final = 8


@register_searcher("regularized_evolution")
class RegularizedEvolutionSearcher(ResumableSearcher):
    """Regularised evolution: the winner of a tournament has a mutant, and the oldest of the population dies.

    With one objective this is the paper's algorithm 1. With several, every tournament weighs them at random, so that
    the population spreads over the front. Whatever keeps the limits wins over what breaks them.

    Args:
        space: what is searched.
        problem: objectives and limits.
        rng: source of randomness.
        population: number of networks alive; 2 or more.
        tournament: number of networks of which the best has a child.

    Raises:
        NasError: a setting out of range.
    """

    name = "regularized_evolution"

    def __init__(
        self,
        space: SearchSpace,
        problem: Problem,
        rng: np.random.Generator,
        *,
        population: int = 100,
        tournament: int = 25,
    ) -> None:
        super().__init__(space, problem, rng)
        check_whole(self.name, "population", population, 2)
        check_whole(self.name, "tournament", tournament, 1)
        self._size, self._tournament = population, tournament
        # From oldest to youngest.
        self._rows: Indices = np.empty((0, len(space.decisions)), np.int64)
        self._costs: NDArray[np.float64] = np.empty((0, len(problem.objectives)))
        self._violations: NDArray[np.float64] = np.empty(0)

    def _propose(self, count: int) -> Indices:
        drawn = min(max(0, self._size - len(self._unseen)), count) if len(self._rows) else count
        found = self._unseen.draw(self._rng, drawn)
        for round_number in range(_ROUNDS if len(self._rows) else 0):
            missing = count - len(found)
            if not missing:
                break
            found = np.concatenate([found, self._unseen.take(self._mutants(missing, 1 + round_number // 2), missing)])
        return self._topped_up(found, count)

    def _mutants(self, count: int, moves: int) -> Indices:
        entrants = self._rng.integers(0, len(self._rows), (count, self._tournament))
        weights = self._rng.dirichlet(np.ones(self._costs.shape[1]), count)[:, None]
        merits = weighted(self._costs[entrants], self._violations[entrants], weights)
        parents = self._rows[entrants[np.arange(count), merits.argmin(axis=1)]]
        return mutate(self._space, parents, min(0.5, moves / parents.shape[1]), self._rng)

    def _learn(self, rows: Indices, scores: Scores) -> None:
        self._rows = np.concatenate([self._rows, rows])[-self._size :]
        self._costs = np.concatenate([self._costs, scores.costs])[-self._size :]
        self._violations = np.concatenate([self._violations, scores.violations])[-self._size :]

    def _memory(self) -> dict[str, Any]:
        return {
            "population": pack(row_keys(self._rows)),
            "costs": pack_floats(self._costs),
            "violations": pack_floats(self._violations),
        }

    def _remember(self, memory: Mapping[str, Any]) -> None:
        decisions = len(self._space.decisions)
        rows = rows_of_keys(unpack(memory["population"], decisions), decisions)
        self._costs = unpack_floats(memory["costs"], len(rows), len(self._problem.objectives))
        self._violations = unpack_floats(memory["violations"], len(rows))
        self._rows = rows
