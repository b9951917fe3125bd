"""How well a device can be predicted at all: what is left is noise of its measurements, or beyond the features here.

There are no repeated measurements in the published tables that would tell noise by itself. So this is a bar from below:
a fit that measures most of the table.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold

Floats = NDArray[np.float64]

_FOLDS = 5
_STRENGTHS = np.logspace(-2, 4, 13)
_SHIFT = 0.2  # of the median, as some latencies are about zero


def ceiling(features: Floats, latencies_s: Floats, *, quick: bool = False) -> Floats:
    """Seconds of every network by fits to the others: the mean of trees and of a ridge, five folds.

    Args:
        features: shape ``(networks, features)``.
        latencies_s: shape ``(networks,)``.
        quick: a few trees.
    """
    shift = _SHIFT * float(np.median(latencies_s))
    response = np.log(latencies_s + shift)
    scaled = (features - features.mean(axis=0)) / np.maximum(features.std(axis=0), 1e-9)
    predicted = np.zeros(len(response))
    for fitted, left_out in KFold(_FOLDS, shuffle=True, random_state=0).split(scaled):
        trees = HistGradientBoostingRegressor(
            max_iter=10 if quick else 300, learning_rate=0.05, max_leaf_nodes=15, random_state=0
        )
        for model in (trees, RidgeCV(_STRENGTHS)):
            predicted[left_out] += model.fit(scaled[fitted], response[fitted]).predict(scaled[left_out]) / 2
    return np.asarray(np.maximum(np.exp(predicted) - shift, 1e-3 * latencies_s.min()), np.float64)
