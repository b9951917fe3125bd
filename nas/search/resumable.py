"""What searchers of our own share: no architecture twice, and a state that another process goes on from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from nas.candidate import Candidate
from nas.errors import NasError
from nas.objective import Problem, Scores
from nas.search.base import check_count, check_header, check_scores, state_header
from nas.search.rows import Indices, pack, row_keys, rows_of, rows_of_keys, unpack
from nas.search.unseen import Unseen
from search_spaces import Architecture, SearchSpace

_ROUNDS: Final = 8


class ResumableSearcher(ABC):
    """A ``Searcher`` whose subclass proposes new rows and learns from scores."""

    name: str

    def __init__(self, space: SearchSpace, problem: Problem, rng: np.random.Generator) -> None:
        self._space = space
        self._problem = problem
        # A generator of our own, so that restoring it does not turn back anybody else's.
        self._rng = np.random.default_rng(rng.integers(0, 2**63, 2))
        self._unseen = Unseen(space)
        self._pending: dict[bytes, None] = {}
        self._again: list[bytes] = []

    @abstractmethod
    def _propose(self, count: int) -> Indices:
        """Up to ``count`` rows taken from ``self._unseen``."""

    @abstractmethod
    def _learn(self, rows: Indices, scores: Scores) -> None:
        """Take in the scores of rows that were never told before; there is at least one."""

    @abstractmethod
    def _memory(self) -> dict[str, Any]:
        """What the subclass has to keep, in values that ``json`` writes."""

    @abstractmethod
    def _remember(self, memory: Mapping[str, Any]) -> None:
        """The reverse of ``_memory``; raises KeyError, TypeError or ValueError where it is damaged."""

    def ask(self, count: int) -> list[Architecture]:
        """New architectures; see ``Searcher.ask``."""
        return self._space.architectures(self.ask_rows(count))

    def ask_rows(self, count: int) -> Indices:
        """What ``ask`` gives, as rows of option indices: for evaluators that judge thousands at once."""
        check_count(count)
        keys, self._again = self._again[:count], self._again[count:]
        if len(keys) < count:
            fresh = row_keys(self._propose(count - len(keys)))
            self._pending.update(dict.fromkeys(fresh))
            keys = keys + fresh
        return rows_of_keys(keys, len(self._space.decisions))

    def tell(self, candidates: Sequence[Candidate]) -> None:
        """Results; see ``Searcher.tell``."""
        rows = rows_of(self._space, [candidate.arch for candidate in candidates])
        self.tell_rows(rows, self._problem.scores(candidates))

    def tell_rows(self, rows: Indices, scores: Scores) -> None:
        """What ``tell`` takes, as canonical rows of option indices and their scores.

        Raises:
            NasError: a cost or margin is NaN, or the shapes do not fit.
        """
        check_scores(self._problem, rows, scores)
        news: dict[bytes, int] = {}
        for position, key in enumerate(row_keys(rows)):
            if key in self._pending or key not in self._unseen:
                news.setdefault(key, position)
        if not news:
            return
        kept = list(news.values())
        self._learn(rows[kept], Scores(scores.costs[kept], scores.margins[kept]))
        self._unseen.add(news)
        for key in news:
            self._pending.pop(key, None)
        self._again = [key for key in self._again if key in self._pending]

    def _first(self, count: int) -> Indices:
        """The smallest architecture, the largest, and random ones up to ``count``; each only if it is new."""
        ends = rows_of(self._space, [self._space.smallest(), self._space.largest()])
        return self._topped_up(self._unseen.take(ends, count), count)

    def _bred(self, found: Indices, count: int, breed: Callable[[int, float], Indices], rate: float) -> Indices:
        """These rows, and new children up to ``count``.

        Args:
            found: rows that are there already.
            count: number of rows in the end.
            breed: makes so many children under a mutation rate.
            rate: at first; it grows where children repeat what was seen, and then chance takes over.
        """
        for _ in range(_ROUNDS):
            missing = count - len(found)
            if not missing:
                return found
            found = np.concatenate([found, self._unseen.take(breed(missing, rate), missing)])
            rate = min(1.5 * rate, 0.5)
        return self._topped_up(found, count)

    def _topped_up(self, found: Indices, count: int) -> Indices:
        """These rows, and random new ones up to ``count``."""
        return np.concatenate([found, self._unseen.draw(self._rng, count - len(found))])

    def state(self) -> dict[str, Any]:
        """See ``Searcher.state``."""
        return {
            **state_header(self.name, self._space, self._problem),
            "rng": self._rng.bit_generator.state,
            "seen": pack(self._unseen.keys),
            "pending": pack(list(self._pending)),
            "memory": self._memory(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """See ``Searcher.restore``."""
        check_header(state, state_header(self.name, self._space, self._problem))
        decisions = len(self._space.decisions)
        try:
            seen, pending = unpack(state["seen"], decisions), unpack(state["pending"], decisions)
            self._rng.bit_generator.state = state["rng"]
            self._remember(state["memory"])
        except (AttributeError, LookupError, OverflowError, TypeError, ValueError) as error:
            raise NasError(f"the saved state of the {self.name} search is damaged: {error!r}") from error
        self._unseen = Unseen(self._space)
        self._unseen.add(seen)
        self._pending = dict.fromkeys(pending)
        self._again = pending
