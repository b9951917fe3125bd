"""Random search: the baseline that every other searcher has to beat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nas.objective import Scores
from nas.search.registry import register_searcher
from nas.search.resumable import ResumableSearcher
from nas.search.rows import Indices


@register_searcher("random")
class RandomSearcher(ResumableSearcher):
    """Architectures drawn at random, every decision uniform, none twice."""

    name = "random"

    def _propose(self, count: int) -> Indices:
        return self._unseen.draw(self._rng, count)

    def _learn(self, rows: Indices, scores: Scores) -> None:
        """Random search learns nothing."""

    def _memory(self) -> dict[str, Any]:
        return {}

    def _remember(self, memory: Mapping[str, Any]) -> None:
        """There is nothing to remember."""
