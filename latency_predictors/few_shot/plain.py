"""What a few measurements say by themselves: a mix of devices and of work, and a ridge on what that leaves over.

Nothing in it is learnt from a fleet but the devices that are mixed. It stands beside the posterior, whose sizes of
deviations can be wrong where the known devices are no relatives of the unseen one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from latency_predictors.few_shot.description import Floats

_STRENGTHS = np.logspace(-3, 3, 13)
_LEAST = 1e-3


@dataclass(frozen=True)
class PlainMix:
    """A fitted mix.

    Attributes:
        shares: of the mixed devices, last what every network takes alike; none is negative, shape ``(devices + 1,)``.
        weights: of the features, shape ``(features,)``.
    """

    shares: Floats
    weights: Floats

    @classmethod
    def fit(cls, features: Floats, mixed: Floats, relative: Floats) -> PlainMix:
        """Non-negative least squares, then a ridge whose strength has the least leave-one-out error.

        Args:
            features: of the measured networks, shape ``(measured, features)``.
            mixed: their relative latencies on the devices, shape ``(measured, devices)``.
            relative: what was measured, as shares of a typical latency, shape ``(measured,)``.
        """
        known = _with_constant(mixed)
        shares = nnls(known, relative)[0]
        rest = relative - known @ shares
        values, vectors = np.linalg.eigh(features @ features.T)
        values, rotated = np.maximum(values, 0), vectors.T @ rest
        errors = []
        for strength in _STRENGTHS:
            shrink = strength / (values + strength)
            errors.append(float(np.mean(((vectors @ (shrink * rotated)) / (vectors**2 @ shrink)) ** 2)))
        dual = vectors @ (rotated / (values + _STRENGTHS[int(np.argmin(errors))]))
        return cls(shares, features.T @ dual)

    def relative(self, features: Floats, mixed: Floats) -> Floats:
        """Latencies of networks as shares of the typical one, shape ``(networks,)``."""
        return np.asarray(np.maximum(_with_constant(mixed) @ self.shares + features @ self.weights, _LEAST), np.float64)


def _with_constant(mixed: Floats) -> Floats:
    return np.concatenate([mixed, np.ones((len(mixed), 1))], axis=1)
