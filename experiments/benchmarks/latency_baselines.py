"""What simpler methods make of the same measurements: a mix of known devices, and trees."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls
from sklearn.ensemble import GradientBoostingRegressor

from latency_predictors.few_shot import Encoded

Floats = NDArray[np.float64]

_STRENGTHS = np.logspace(-3, 3, 13)


def mix(seen: Encoded, latencies_s: Floats, networks: Encoded) -> Floats:
    """Non-negative mix of predicted latencies of known devices and of work, and a ridge on what that leaves over.

    The ridge's strength has the least leave-one-out error.
    """
    typical = float(np.median(latencies_s))
    response = latencies_s / typical
    known = np.concatenate([seen.mixed, np.ones((len(seen), 1))], axis=1)
    shares = nnls(known, response)[0]
    rest = response - known @ shares
    gram = seen.features @ seen.features.T
    values, vectors = np.linalg.eigh(gram)
    rotated = vectors.T @ rest
    errors = []
    for strength in _STRENGTHS:
        shrink = strength / (np.maximum(values, 0) + strength)
        errors.append(float(np.mean(((vectors @ (shrink * rotated)) / (vectors**2 @ shrink)) ** 2)))
    strength = _STRENGTHS[int(np.argmin(errors))]
    dual = vectors @ (rotated / (np.maximum(values, 0) + strength))
    everything = np.concatenate([networks.mixed, np.ones((len(networks), 1))], axis=1)
    predicted = everything @ shares + networks.features @ (seen.features.T @ dual)
    return typical * np.maximum(predicted, 1e-3)


def boosting(seen: Encoded, latencies_s: Floats, networks: Encoded) -> Floats:
    """Gradient boosting on the features alone, of the target's measurements alone."""
    model = GradientBoostingRegressor(
        n_estimators=100, learning_rate=0.1, max_depth=3, subsample=0.7, max_features=0.3, random_state=0
    )
    model.fit(seen.features, np.log(latencies_s))
    return np.asarray(np.exp(model.predict(networks.features)), np.float64)
