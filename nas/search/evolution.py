"""Evolution of the whole front: a model of single choices screens what lies near the networks that nothing beats."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nas.dominance import non_dominated
from nas.errors import NasError
from nas.objective import Problem, Scores
from nas.pareto import constrained_ranks, crowding_distance
from nas.search.additive import AdditiveModel
from nas.search.base import check_whole
from nas.search.encoding import one_hot
from nas.search.operators import crossover, mutate, single_moves
from nas.search.registry import register_searcher
from nas.search.resumable import ResumableSearcher
from nas.search.rows import Indices, pack, pack_floats, row_keys, rows_of_keys, unpack, unpack_floats
from nas.search.spread import advantage, neighbours, scale_of, scaled_costs, spread_out
from search_spaces import SearchSpace

_NEAR: Final = 0.8
"""Share of proposals that are one choice away from a survivor; the others have two parents."""
_EXPLORED: Final = 100
"""Survivors whose neighbours are compared for one batch of proposals."""


@register_searcher("evolution")
class EvolutionSearcher(ResumableSearcher):
    """Multi-objective evolution of the whole front, with hard limits; for cheap evaluators.

    Beside NSGA-II, whose constrained domination it keeps:

    - survivors are all networks that no other beats, however many, so the front's resolution is not the population's;
    - half of the parents are drawn where the front is thin;
    - an additive model of all results says how two networks differ that differ in a few choices: what a network was
      found to be plus that difference is what its children promise;
    - most proposals are the most promising of all networks that are one choice away from a survivor; the others are
      children of two neighbours on the front, each the best of ``screened`` siblings.

    Args:
        space: what is searched.
        problem: objectives and limits.
        rng: source of randomness.
        population: networks drawn at random at first, and fewest survivors; 4 or more.
        most: most survivors; of a larger front those are kept that lie far apart.
        screened: siblings of which one is proposed; 1 or more.
        crossover_rate: share of children that have two parents rather than one.
        moves: mean number of choices that a mutation moves.

    Raises:
        NasError: a setting out of range.
    """

    name = "evolution"

    def __init__(
        self,
        space: SearchSpace,
        problem: Problem,
        rng: np.random.Generator,
        *,
        population: int = 100,
        most: int = 1000,
        screened: int = 2,
        crossover_rate: float = 0.9,
        moves: float = 1.0,
    ) -> None:
        super().__init__(space, problem, rng)
        check_whole(self.name, "population", population, 4)
        check_whole(self.name, "most", most, 4)
        check_whole(self.name, "screened", screened, 1)
        odd = any(isinstance(given, bool) for given in (crossover_rate, moves))
        if odd or not 0 <= crossover_rate <= 1 or not 0 < moves <= len(space.decisions):
            raise NasError(
                f"evolution: crossover_rate is {crossover_rate!r} and moves {moves!r}; "
                f"allowed: 0 to 1, and above 0 to the {len(space.decisions)} decisions of the space"
            )
        self._size, self._most = population, max(most, population)
        self._screened = screened
        self._crossover_rate = crossover_rate
        self._rate = moves / len(space.decisions)
        self._rows: Indices = np.empty((0, len(space.decisions)), np.int64)
        self._costs: NDArray[np.float64] = np.empty((0, len(problem.objectives)))
        self._margins: NDArray[np.float64] = np.empty((0, len(problem.limits)))
        features = int(space.option_counts.sum())
        self._cost_model = AdditiveModel(features, len(problem.objectives))
        self._margin_model = AdditiveModel(features, len(problem.limits))

    def _propose(self, count: int) -> Indices:
        first = min(max(0, self._size - len(self._unseen)), count) if len(self._rows) else count
        found = self._first(first)
        if count == first:
            return found
        near = self._near(round(_NEAR * (count - first)))
        return self._bred(np.concatenate([found, near]), count, self._breed, self._rate)

    def _near(self, count: int) -> Indices:
        """Up to so many new networks, the most promising of all that are one choice away from some survivors."""
        parents = self._rng.choice(len(self._rows), min(count, _EXPLORED), p=self._chances())
        rows, origins = single_moves(self._space, self._rows, np.unique(parents))
        new = self._unseen.new(rows)
        rows, origins = rows[new], origins[new]
        best = np.argsort(-self._promise(rows, origins), kind="stable")
        return self._unseen.take(rows[best], count)

    def _breed(self, missing: int, rate: float) -> Indices:
        """Children of different parents, each the most promising of its siblings, and a few more than are missing."""
        count = missing + missing // 4
        parents = np.tile(self._rng.choice(len(self._rows), count, p=self._chances()), self._screened)
        mates = neighbours(scaled_costs(self._costs), parents, self._rng)
        mates = np.where(self._rng.random(len(parents)) < self._crossover_rate, mates, parents)
        children = crossover(self._space, self._rows[parents], self._rows[mates], self._rng)
        children = mutate(self._space, children, rate, self._rng)
        if self._screened == 1:
            return children
        promise = self._promise(children, parents).reshape(self._screened, count)
        best: Indices = children.reshape(self._screened, count, -1)[promise.argmax(axis=0), np.arange(count)]
        return best

    def _chances(self) -> NDArray[np.float64]:
        """How likely each survivor becomes a parent: half evenly, half by how thin the front is around it."""
        even = np.full(len(self._rows), 1 / len(self._rows))
        feasible = self._violations() == 0
        if not feasible.any():
            return even
        thin = np.zeros(len(self._rows))
        gaps = crowding_distance(self._costs[feasible])
        inner = gaps[np.isfinite(gaps)]
        thin[feasible] = np.minimum(gaps, inner.max(initial=0.0) or 1.0)
        return 0.5 * even + 0.5 * thin / thin.sum() if thin.any() else even

    def _promise(self, children: Indices, parents: NDArray[np.int64]) -> NDArray[np.float64]:
        """What each child would add to the front; below every feasible one where it breaks limits."""
        encoded, before = one_hot(self._space, children), one_hot(self._space, self._rows)
        costs = self._costs[parents] + (self._cost_model.effects(encoded) - self._cost_model.effects(before)[parents])
        margins = self._margin_model.effects(encoded) - self._margin_model.effects(before)[parents]
        violations = np.maximum(self._margins[parents] + margins, 0.0).sum(axis=1)
        front = self._costs[self._violations() == 0]
        promise = np.zeros(len(children))
        if len(front):
            low, span = scale_of(front)
            # Of a parent without known costs nothing is known of the child's.
            known = np.isfinite(costs).all(axis=1)
            promise[known] = advantage((costs[known] - low) / span, (front - low) / span)
        promise[violations > 0] = -1e3 - violations[violations > 0]
        promise[(children == self._rows[parents]).all(axis=1)] = -np.inf
        return promise

    def _violations(self) -> NDArray[np.float64]:
        return Scores(self._costs, self._margins).violations

    def _learn(self, rows: Indices, scores: Scores) -> None:
        encoded = one_hot(self._space, rows)
        known = np.isfinite(scores.costs).all(axis=1)
        self._cost_model.tell(encoded[known], scores.costs[known])
        self._margin_model.tell(encoded, scores.margins)
        self._rows = np.concatenate([self._rows, rows])
        self._costs = np.concatenate([self._costs, scores.costs])
        self._margins = np.concatenate([self._margins, scores.margins])
        kept = self._survivors()
        self._rows, self._costs, self._margins = self._rows[kept], self._costs[kept], self._margins[kept]

    def _survivors(self) -> NDArray[np.int64]:
        """The front, of which at most ``most``; where it has fewer than the population, the next best too."""
        violations = self._violations()
        front = np.flatnonzero(violations == 0)
        front = front[non_dominated(self._costs[front])]
        if len(front) >= self._size:
            return front[spread_out(self._costs[front], self._most)]
        ranks = constrained_ranks(self._costs, violations)
        crowding = np.zeros(len(ranks))
        feasible = violations == 0
        crowding[feasible] = crowding_distance(self._costs[feasible], ranks[feasible])
        return np.lexsort((-crowding, ranks))[: self._size]

    def _memory(self) -> dict[str, Any]:
        return {
            "population": pack(row_keys(self._rows)),
            "costs": pack_floats(self._costs),
            "margins": pack_floats(self._margins),
            "cost_model": self._cost_model.to_json(),
            "margin_model": self._margin_model.to_json(),
        }

    def _remember(self, memory: Mapping[str, Any]) -> None:
        decisions = len(self._space.decisions)
        rows = rows_of_keys(unpack(memory["population"], decisions), decisions)
        self._costs = unpack_floats(memory["costs"], len(rows), len(self._problem.objectives))
        self._margins = unpack_floats(memory["margins"], len(rows), len(self._problem.limits))
        self._rows = rows
        self._cost_model.restore(memory["cost_model"])
        self._margin_model.restore(memory["margin_model"])
