"""A search over an evaluator that judges thousands of rows at once, such as a predictor, without an object for each."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from nas.dominance import non_dominated
from nas.errors import NasError
from nas.objective import Problem, Scores
from nas.search.base import check_scores
from nas.search.resumable import ResumableSearcher
from nas.search.rows import Indices

RowEvaluator: TypeAlias = Callable[[Indices], Scores]
"""Scores of rows of option indices, shape ``(architectures, decisions)``."""


class Exploration:
    """Asks, evaluates and tells, and keeps all that was judged, also where the evaluator fails on the way.

    Args:
        searcher: one of our own, not Optuna's.
        problem: what the searcher was made with.
        evaluate: scores of rows; unknown costs are infinite, and allowed only where a limit is broken.

    Attributes:
        rows: everything judged, in order, shape ``(networks, decisions)``.
        scores: what it turned out to be.
    """

    def __init__(self, searcher: ResumableSearcher, problem: Problem, evaluate: RowEvaluator) -> None:
        self._searcher, self._problem, self._evaluate = searcher, problem, evaluate
        self._waiting: Indices | None = None
        self._rows: list[Indices] = []
        self._scores: list[Scores] = []

    @property
    def rows(self) -> Indices:
        """Everything judged, in order."""
        return np.concatenate(self._rows) if self._rows else np.empty((0, 0), np.int64)

    @property
    def scores(self) -> Scores:
        """Scores of ``rows``."""
        if not self._scores:
            return Scores(np.empty((0, len(self._problem.objectives))), np.empty((0, len(self._problem.limits))))
        return Scores(
            np.concatenate([scores.costs for scores in self._scores]),
            np.concatenate([scores.margins for scores in self._scores]),
        )

    def front(self) -> tuple[Indices, Scores]:
        """Rows that keep every limit and that no other beats, with their scores."""
        rows, scores = self.rows, self.scores
        kept = np.flatnonzero(scores.violations == 0)
        kept = kept[non_dominated(scores.costs[kept])]
        return rows[kept], Scores(scores.costs[kept], scores.margins[kept])

    def run(self, evaluations: int, batch: int = 100) -> None:
        """Judge up to so many more networks; fewer only where the space has no more.

        After an error everything judged before is still here, and the next call starts with the batch that failed.

        Raises:
            NasError: the evaluator failed, or gave scores that cannot be compared.
        """
        left = evaluations
        while left > 0:
            rows = self._waiting if self._waiting is not None else self._searcher.ask_rows(min(batch, left))
            if not len(rows):
                return
            self._waiting = rows
            scores = self._judged(rows)
            self._searcher.tell_rows(rows, scores)
            self._rows.append(rows)
            self._scores.append(scores)
            self._waiting = None
            left -= len(rows)

    def _judged(self, rows: Indices) -> Scores:
        kept = "what was judged before is kept, and the next run starts with these networks"
        try:
            scores = self._evaluate(rows)
        except Exception as error:
            raise NasError(
                f"the evaluator failed on {len(rows)} networks after {sum(map(len, self._rows))} were judged: "
                f"{type(error).__name__}: {error}; {kept}"
            ) from error
        try:
            check_scores(self._problem, rows, scores)
        except NasError as error:
            raise NasError(f"{error}; {kept}") from error
        return scores
