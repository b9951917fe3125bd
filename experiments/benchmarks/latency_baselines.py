"""What simpler methods make of the same measurements: a mix of known devices, and trees."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import GradientBoostingRegressor

from latency_predictors.few_shot import Encoded
from latency_predictors.few_shot.plain import PlainMix

Floats = NDArray[np.float64]


def mix(seen: Encoded, latencies_s: Floats, networks: Encoded) -> Floats:
    """Non-negative mix of predicted latencies of known devices and of work, and a ridge on what that leaves over.

    The ridge's strength has the least leave-one-out error.
    """
    typical = float(np.median(latencies_s))
    fitted = PlainMix.fit(seen.features, seen.mixed, latencies_s / typical)
    return typical * fitted.relative(networks.features, networks.mixed)


def boosting(seen: Encoded, latencies_s: Floats, networks: Encoded) -> Floats:
    """Gradient boosting on the features alone, of the target's measurements alone."""
    model = GradientBoostingRegressor(
        n_estimators=100, learning_rate=0.1, max_depth=3, subsample=0.7, max_features=0.3, random_state=0
    )
    model.fit(seen.features, np.log(latencies_s))
    return np.asarray(np.exp(model.predict(networks.features)), np.float64)
