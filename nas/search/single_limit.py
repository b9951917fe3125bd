"""Once-for-all's evolutionary search (Cai et al. 2020, section 3.4): the most accurate network under a limit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.errors import NasError
from nas.objective import Problem, Scores
from nas.search.base import check_whole
from nas.search.operators import crossover, mutate
from nas.search.registry import register_searcher
from nas.search.resumable import ResumableSearcher
from nas.search.rows import Indices, pack, pack_floats, row_keys, rows_of_keys, unpack, unpack_floats
from search_spaces import SearchSpace


@register_searcher("ofa_evolution")
class OnceForAllEvolutionSearcher(ResumableSearcher):
    """Once-for-all's evolution: best value of the first objective under the limits; other objectives are not looked at.

    A quarter of the population are parents. Half of the children are mutants of one parent, half mix two.

    Args:
        space: what is searched.
        problem: objectives and limits.
        rng: source of randomness.
        population: size of a generation; 4 or more.
        parents: share of the population that has children.
        mutants: share of children that are mutants.
        mutation_rate: probability that a mutant's choice moves.

    Raises:
        NasError: a setting out of range.
    """

    name = "ofa_evolution"

    def __init__(
        self,
        space: SearchSpace,
        problem: Problem,
        rng: np.random.Generator,
        *,
        population: int = 100,
        parents: float = 0.25,
        mutants: float = 0.5,
        mutation_rate: float = 0.1,
    ) -> None:
        super().__init__(space, problem, rng)
        check_whole(self.name, "population", population, 4)
        shares = {"parents": parents, "mutants": mutants, "mutation_rate": mutation_rate}
        for setting, given in shares.items():
            if isinstance(given, bool) or not 0 < given <= 1:
                raise NasError(f"ofa_evolution: {setting} is {given!r}; give a share above 0 and up to 1")
        self._size = population
        self._kept = max(2, round(parents * population))
        self._mutants, self._mutation_rate = mutants, mutation_rate
        # Parents, from best to worst.
        self._rows: Indices = np.empty((0, len(space.decisions)), np.int64)
        self._costs: NDArray[np.float64] = np.empty(0)
        self._violations: NDArray[np.float64] = np.empty(0)

    def _propose(self, count: int) -> Indices:
        drawn = min(max(0, self._size - len(self._unseen)), count) if len(self._rows) else count
        found = self._unseen.draw(self._rng, drawn)
        if not len(self._rows):
            return self._topped_up(found, count)
        return self._bred(found, count, self._children, self._mutation_rate)

    def _children(self, count: int, rate: float) -> Indices:
        left, right = self._rows[self._rng.integers(0, len(self._rows), (2, count))]
        mixed = crossover(self._space, left, right, self._rng)
        moved = mutate(self._space, left, rate, self._rng)
        return np.where(self._rng.random((count, 1)) < self._mutants, moved, mixed)

    def _learn(self, rows: Indices, scores: Scores) -> None:
        rows = np.concatenate([self._rows, rows])
        costs = np.concatenate([self._costs, scores.costs[:, 0]])
        violations = np.concatenate([self._violations, scores.violations])
        kept = np.lexsort((costs, violations))[: self._kept]
        self._rows, self._costs, self._violations = rows[kept], costs[kept], violations[kept]

    def _memory(self) -> dict[str, Any]:
        return {
            "parents": pack(row_keys(self._rows)),
            "costs": pack_floats(self._costs),
            "violations": pack_floats(self._violations),
        }

    def _remember(self, memory: Mapping[str, Any]) -> None:
        decisions = len(self._space.decisions)
        rows = rows_of_keys(unpack(memory["parents"], decisions), decisions)
        self._costs = unpack_floats(memory["costs"], len(rows))
        self._violations = unpack_floats(memory["violations"], len(rows))
        self._rows = rows
