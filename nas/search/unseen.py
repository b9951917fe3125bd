"""Every architecture that a search has come across, and new ones that it has not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np

from nas.search.rows import Indices, row_keys
from search_spaces import SearchSpace

ENUMERABLE: Final = 1 << 16
"""Spaces of up to this many networks are listed to the last one when random draws find nothing new."""

_ROUNDS: Final = 8


class Unseen:
    """Remembers rows of option indices by their canonical form."""

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._seen: dict[bytes, None] = {}

    def __len__(self) -> int:
        return len(self._seen)

    def __contains__(self, key: bytes) -> bool:
        return key in self._seen

    @property
    def keys(self) -> list[bytes]:
        """What was seen, in the order in which it was."""
        return list(self._seen)

    def add(self, keys: Iterable[bytes]) -> None:
        """Remember rows by their keys."""
        self._seen.update(dict.fromkeys(keys))

    def new(self, rows: Indices) -> list[int]:
        """Positions of the canonical rows that are new; they are not remembered."""
        return [at for at, key in enumerate(row_keys(rows)) if key not in self._seen]

    def take(self, rows: Indices, count: int) -> Indices:
        """The first ``count`` of these canonical rows that are new, remembered from now on."""
        taken: list[int] = []
        for position, key in enumerate(row_keys(rows)):
            if len(taken) == count:
                break
            if key not in self._seen:
                self._seen[key] = None
                taken.append(position)
        return rows[taken]

    def draw(self, rng: np.random.Generator, count: int) -> Indices:
        """Up to ``count`` new random rows, every decision uniform; remembered from now on.

        A bounded number of draws is made. Where they do not suffice and the space is small, what is left of it is
        listed, so fewer rows come back only from a small space that is exhausted, or a large one that nearly is.
        """
        found = np.empty((0, len(self._space.decisions)), np.int64)
        for _ in range(_ROUNDS):
            missing = count - len(found)
            if not missing or len(self._seen) >= self._space.size:
                return found
            found = np.concatenate([found, self.take(self._space.sample_indices(rng, 2 * missing), missing)])
        if len(found) < count and self._space.size <= ENUMERABLE:
            every = enumerate_space(self._space)
            found = np.concatenate([found, self.take(rng.permutation(every), count - len(found))])
        return found


def enumerate_space(space: SearchSpace) -> Indices:
    """Every canonical architecture of a small space, shape ``(space.size, decisions)``, in lexicographic order."""
    rows = np.zeros((1, len(space.decisions)), np.int64)
    for column, options in enumerate(space.option_counts.tolist()):
        copies = np.where(space.active(rows)[:, column], options, 1)
        starts = np.repeat(np.cumsum(copies) - copies, copies)
        rows = np.repeat(rows, copies, axis=0)
        rows[:, column] = np.arange(len(rows)) - starts
    return rows
