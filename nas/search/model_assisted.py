"""Search for expensive evaluators: a model of all results says which of very many candidates to try next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nas.dominance import non_dominated
from nas.objective import Problem, Scores
from nas.pareto import constrained_ranks
from nas.search.base import check_whole
from nas.search.encoding import one_hot
from nas.search.kernel_model import KernelModel
from nas.search.operators import crossover, mutate, single_moves
from nas.search.registry import register_searcher
from nas.search.resumable import ResumableSearcher
from nas.search.rows import Indices, pack, pack_floats, row_keys, rows_of_keys, unpack, unpack_floats
from nas.search.spread import advantage, neighbours, scale_of, scaled_costs, spread_out
from nas.search.unseen import ENUMERABLE, enumerate_space
from search_spaces import SearchSpace

_GENERATIONS: Final = 8
_PARENTS: Final = 400
_EXPLORED: Final = 100
"""Parents of which every network that is one choice away is a candidate."""
_FEWEST: Final = 4
"""Results with known costs that a model needs."""
_FEWEST_PARENTS: Final = 10
_HOPELESS: Final = -1e6
_LEARNED: Final = 2500
"""Most results a model is fitted on: time grows with the cube."""

Predicted: TypeAlias = tuple[Indices, NDArray[np.float64], NDArray[np.float64]]
"""Candidates, their predicted costs ``(candidates, objectives)`` and violations of limits ``(candidates,)``."""


@register_searcher("model_assisted")
class ModelAssistedSearcher(ResumableSearcher):
    """A model of all results screens very many candidates, and the best are proposed; for expensive evaluators.

    Costs and margins of limits are predicted by kernel ridge regression over one-hot encodings. Candidates are networks
    that are one choice away from the best, for which only the difference to these is predicted; beside them every
    network of a small space, and in a large one those that an evolution on the predictions finds. Proposed are, one
    after another, those that add most to the front found so far and to what the same batch has already.

    Args:
        space: what is searched.
        problem: objectives and limits.
        rng: source of randomness.
        first: networks drawn at random before the model is trusted; 4 or more.
        candidates: networks screened in every generation of the inner evolution; 4 or more.

    Raises:
        NasError: a setting out of range.
    """

    name = "model_assisted"

    def __init__(
        self,
        space: SearchSpace,
        problem: Problem,
        rng: np.random.Generator,
        *,
        first: int = 50,
        candidates: int = 1000,
    ) -> None:
        super().__init__(space, problem, rng)
        check_whole(self.name, "first", first, 4)
        check_whole(self.name, "candidates", candidates, 4)
        self._size, self._candidates = first, candidates
        self._rows: Indices = np.empty((0, len(space.decisions)), np.int64)
        self._costs: NDArray[np.float64] = np.empty((0, len(problem.objectives)))
        self._margins: NDArray[np.float64] = np.empty((0, len(problem.limits)))
        self._model: tuple[KernelModel, KernelModel | None] | None = None

    def _propose(self, count: int) -> Indices:
        enough = np.isfinite(self._costs).all(axis=1).sum() >= _FEWEST
        drawn = min(max(0, self._size - len(self._unseen)), count) if enough else count
        found = self._first(drawn)
        if count > drawn:
            found = np.concatenate([found, self._unseen.take(self._screened(count - drawn), count - drawn)])
        return self._topped_up(found, count)

    def _screened(self, count: int) -> Indices:
        """New candidates that the model thinks most of, best first."""
        tried: set[bytes] = set()
        near = self._near(tried)
        rows, costs, violations = (np.concatenate(both) for both in zip(near, self._far(tried), strict=True))
        return rows[self._picked(costs, violations, count)]

    def _near(self, tried: set[bytes]) -> Predicted:
        """Candidates that are one choice away from the best; predicted is only by how much they differ from these."""
        told = self._best_told()
        told = told[np.isfinite(self._costs[told]).all(axis=1)]
        members = told[self._rng.permutation(len(told))[:_EXPLORED]]
        rows, origins = single_moves(self._space, self._rows, members)
        new = self._new(rows, tried)
        rows, origins = rows[new], origins[new]
        costs, margins = self._predict(rows)
        members, at = np.unique(origins, return_inverse=True)
        costs_before, margins_before = self._predict(self._rows[members])
        costs += (self._costs[members] - costs_before)[at]
        margins += (self._margins[members] - margins_before)[at]
        return rows, costs, Scores(costs, margins).violations

    def _far(self, tried: set[bytes]) -> Predicted:
        """Every new network of a small space; of a large one, those that an evolution on predictions comes across."""
        if self._space.size > ENUMERABLE:
            return self._evolved(tried)
        rows = enumerate_space(self._space)
        return self._with_predictions(rows[self._new(rows, tried)])

    def _evolved(self, tried: set[bytes]) -> Predicted:
        """Candidates of an evolution on predictions that starts from the best results; with what is predicted."""
        seeds = self._best_told()
        pool, costs = self._rows[seeds], self._costs[seeds]
        violations = Scores(costs, self._margins[seeds]).violations
        found = [(pool[:0], costs[:0], violations[:0])]
        for _ in range(_GENERATIONS):
            left = self._rng.integers(0, len(pool), self._candidates)
            right = neighbours(scaled_costs(costs), left, self._rng)
            children = crossover(self._space, pool[left], pool[right], self._rng)
            children = mutate(self._space, children, 1 / children.shape[1], self._rng)
            children = children[self._new(children, tried)]
            if not len(children):
                continue
            found.append(self._with_predictions(children))
            pool, costs, violations = (
                np.concatenate(both) for both in zip((pool, costs, violations), found[-1], strict=True)
            )
            kept = best(costs, violations, _PARENTS)
            pool, costs, violations = pool[kept], costs[kept], violations[kept]
        rows, costs, violations = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return rows, costs, violations

    def _new(self, rows: Indices, tried: set[bytes]) -> list[int]:
        """Positions of rows that are neither seen nor tried, each once; from now on they are tried."""
        kept = []
        for position, key in enumerate(row_keys(rows)):
            if key not in self._unseen and key not in tried:
                tried.add(key)
                kept.append(position)
        return kept

    def _picked(self, costs: NDArray[np.float64], violations: NDArray[np.float64], count: int) -> NDArray[np.int64]:
        """Positions of the candidates that add most to the front, each beside those picked before it."""
        feasible = Scores(self._costs, self._margins).violations == 0
        gain = -violations
        if feasible.any():
            front = self._costs[feasible]
            front = front[non_dominated(front)]
            low, span = scale_of(front)
            scaled = (costs - low) / span
            gain = np.where(violations > 0, _HOPELESS - violations, advantage(scaled, (front - low) / span))
        picked: list[int] = []
        for _ in range(min(count, len(costs))):
            picked.append(int(gain.argmax()))
            if feasible.any():
                ahead = (scaled[picked[-1]] - scaled).max(axis=1)
                gain = np.where(violations > 0, gain, np.minimum(gain, ahead))
            gain[picked[-1]] = -np.inf
        return np.array(picked, np.int64)

    def _with_predictions(self, rows: Indices) -> Predicted:
        costs, margins = self._predict(rows)
        return rows, costs, Scores(costs, margins).violations

    def _predict(self, rows: Indices) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Costs, shape ``(networks, objectives)``, and margins of limits, shape ``(networks, limits)``."""
        if self._model is None:
            self._model = self._fitted()
        cost_model, margin_model = self._model
        encoded = one_hot(self._space, rows)
        margins = margin_model.predict(encoded) if margin_model else np.zeros((len(rows), 0))
        return cost_model.predict(encoded), margins

    def _fitted(self) -> tuple[KernelModel, KernelModel | None]:
        decisions = len(self._space.decisions)
        known = np.flatnonzero(np.isfinite(self._costs).all(axis=1))
        learned = self._learned(known)
        cost_model = KernelModel(one_hot(self._space, self._rows[learned]), self._costs[learned], decisions)
        if not self._problem.limits:
            return cost_model, None
        learned = self._learned(np.arange(len(self._rows)))
        return cost_model, KernelModel(one_hot(self._space, self._rows[learned]), self._margins[learned], decisions)

    def _learned(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Of these results those to fit on: the best of them, and the latest."""
        if len(positions) <= _LEARNED:
            return positions
        kept = np.zeros(len(self._rows), bool)
        kept[np.intersect1d(self._best_told(), positions)] = True
        late = positions[~kept[positions]]
        kept[late[len(late) - (_LEARNED - int(kept.sum())) :]] = True
        return np.flatnonzero(kept)

    def _best_told(self) -> NDArray[np.int64]:
        return best(self._costs, Scores(self._costs, self._margins).violations, _PARENTS)

    def _learn(self, rows: Indices, scores: Scores) -> None:
        self._rows = np.concatenate([self._rows, rows])
        self._costs = np.concatenate([self._costs, scores.costs])
        self._margins = np.concatenate([self._margins, scores.margins])
        self._model = None

    def _memory(self) -> dict[str, Any]:
        return {
            "told": pack(row_keys(self._rows)),
            "costs": pack_floats(self._costs),
            "margins": pack_floats(self._margins),
        }

    def _remember(self, memory: Mapping[str, Any]) -> None:
        decisions = len(self._space.decisions)
        rows = rows_of_keys(unpack(memory["told"], decisions), decisions)
        self._costs = unpack_floats(memory["costs"], len(rows), len(self._problem.objectives))
        self._margins = unpack_floats(memory["margins"], len(rows), len(self._problem.limits))
        self._rows, self._model = rows, None


def best(costs: NDArray[np.float64], violations: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """Positions of the feasible front, of which at most ``count`` that lie far apart; at least ten results in all.

    Where the front is smaller than ten, those follow that break the limits least and then those of the next fronts.
    """
    feasible = np.flatnonzero(violations == 0)
    front = feasible[non_dominated(costs[feasible])]
    front = front[spread_out(costs[front], count)]
    missing = min(_FEWEST_PARENTS, len(costs)) - len(front)
    if missing <= 0:
        return front
    others = np.setdiff1d(np.arange(len(costs)), front)
    ranks = constrained_ranks(costs[others], violations[others])
    return np.concatenate([front, others[np.argsort(ranks, kind="stable")[:missing]]])
