"""A running guess at what every choice adds to every cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nas.search.rows import pack_floats, unpack_floats

_REMEMBERED: Final = 4000
"""Results after which an old one counts only 1 / e: a search moves, and what it finds now matters most."""
_RIDGE: Final = 1e-2


class AdditiveModel:
    """Ridge regression over a one-hot encoding that forgets slowly; told in batches, it keeps only sums.

    Differences between two similar networks are what it is good for: far more exact than the values themselves.

    Args:
        features: columns of the encoding.
        outputs: values that are guessed.
    """

    def __init__(self, features: int, outputs: int) -> None:
        self._gram = np.zeros((features + 1, features + 1))
        self._moments = np.zeros((features + 1, outputs))
        self._weights: NDArray[np.float32] | None = None

    def tell(self, encoded: NDArray[np.float32], values: NDArray[np.float64]) -> None:
        """Take in results: encodings of shape ``(networks, features)``, values of shape ``(networks, outputs)``."""
        if not len(encoded):
            return
        x = np.concatenate([encoded, np.ones((len(encoded), 1), np.float32)], axis=1)
        kept = np.exp(-len(x) / _REMEMBERED)
        self._gram = kept * self._gram + x.T @ x
        self._moments = kept * self._moments + x.T.astype(np.float64) @ values
        self._weights = None

    def effects(self, encoded: NDArray[np.float32]) -> NDArray[np.float64]:
        """Guesses up to a constant, shape ``(networks, outputs)``: only differences mean something."""
        if self._weights is None:
            told = self._gram[-1, -1]
            ridge = np.full(len(self._gram), _RIDGE * max(told, 1.0))
            ridge[-1] = 1e-6
            self._weights = np.linalg.solve(self._gram + np.diag(ridge), self._moments).astype(np.float32)
        return (encoded @ self._weights[:-1]).astype(np.float64)

    def to_json(self) -> dict[str, Any]:
        """All that it knows, exactly."""
        return {"gram": pack_floats(self._gram), "moments": pack_floats(self._moments)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """The reverse of ``to_json``."""
        self._gram = unpack_floats(state["gram"], *self._gram.shape)
        self._moments = unpack_floats(state["moments"], *self._moments.shape)
        self._weights = None
