"""Ridge regression on products of choices: what single choices add, and pairs, triples and more of them together."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

_DEGREES: Final = (2, 3, 4)
_RIDGES: Final = (1e-1, 1e-2, 1e-3, 1e-4)
_CHOSEN_ON: Final = 384
"""Degree and ridges are chosen on so many results at most."""
_BLOCK: Final = 4096


class KernelModel:
    """Kernel ridge regression with the polynomial kernel ``(1 + x·x' / decisions) ** degree`` over one-hot encodings.

    Degree and, for every output, ridge are those with the smallest leave-one-out error, which has a closed form
    (Rasmussen and Williams 2006, section 5.4.2).

    Args:
        encoded: encodings of shape ``(networks, features)``; two or more.
        values: shape ``(networks, outputs)``, finite.
        decisions: number of ones in an encoding of a network of which every decision matters.
    """

    def __init__(self, encoded: NDArray[np.float32], values: NDArray[np.float64], decisions: int) -> None:
        self._encoded = encoded
        self._scale = 1 / decisions
        self._mean = values.mean(axis=0)
        spread = values.std(axis=0)
        self._spread = np.where(spread > 0, spread, 1.0)
        scaled = (values - self._mean) / self._spread
        chosen = np.linspace(0, len(encoded) - 1, min(len(encoded), _CHOSEN_ON)).astype(np.int64)
        self._degree, ridges = self._choose(encoded[chosen], scaled[chosen])
        gram = self._kernel(encoded, encoded).astype(np.float64)
        level = float(np.trace(gram)) / len(gram)
        weights = [
            np.linalg.solve(gram + ridge * level * np.eye(len(gram)), column)
            for ridge, column in zip(ridges, scaled.T, strict=True)
        ]
        self._weights = (
            np.stack(weights, axis=1).astype(np.float32) if weights else np.empty((len(gram), 0), np.float32)
        )

    def predict(self, encoded: NDArray[np.float32]) -> NDArray[np.float64]:
        """Values, shape ``(networks, outputs)``."""
        parts = [
            self._kernel(encoded[start : start + _BLOCK], self._encoded) @ self._weights
            for start in range(0, len(encoded), _BLOCK)
        ]
        values: NDArray[np.float64] = np.concatenate([np.empty((0, len(self._mean))), *parts])
        return np.asarray(self._mean + self._spread * values, np.float64)

    def _kernel(self, left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float32]:
        similar = left @ (right.T * np.float32(self._scale))
        similar += 1
        power = similar.copy()
        for _ in range(self._degree - 1):
            power *= similar
        return power

    def _choose(self, encoded: NDArray[np.float32], scaled: NDArray[np.float64]) -> tuple[int, list[float]]:
        best, degree, ridges = np.inf, _DEGREES[0], [_RIDGES[0]] * scaled.shape[1]
        for self._degree in _DEGREES:
            values, vectors = np.linalg.eigh(self._kernel(encoded, encoded).astype(np.float64))
            level = float(values.sum()) / len(values)
            errors = []
            for ridge in _RIDGES:
                inverse = 1 / (np.maximum(values, 0) + ridge * level)
                diagonal = (vectors**2 * inverse).sum(axis=1)
                residuals = (vectors * inverse) @ (vectors.T @ scaled) / diagonal[:, None]
                errors.append((residuals**2).mean(axis=0))
            table = np.stack(errors)
            total = float(np.log(table.min(axis=0) + 1e-12).sum())
            if total < best:
                best, degree, ridges = total, self._degree, [_RIDGES[at] for at in table.argmin(axis=0)]
        return degree, ridges
