"""A latency model with a physical reading: so many seconds per multiply-accumulate, per element moved, per launch.

Every coefficient is non-negative, so it extrapolates sensibly from a few dozen measurements. Kinds of operation have
coefficients of their own, and so has each depthwise kernel size: on some runtimes a 7×7 depthwise convolution costs
fifteen times a 5×5 one for each multiply-accumulate, which no model on MACs alone can see.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from latency_predictors.features import SUM_NAMES

TERMS = (
    "conv.macs",
    "pointwise.macs",
    "tiled_macs",
    "grouped.macs",
    "vector.macs",
    "matmul.macs",
    "depthwise.macs.kernel_3",
    "depthwise.macs.kernel_5",
    "depthwise.macs.kernel_7",
    "depthwise.macs.kernel_other",
    "conv.elements",
    "pointwise.elements",
    "depthwise.elements",
    "rectifier.elements",
    "activation.elements",
    "elementwise.elements",
    "pool.elements",
    "norm.elements",
    "layout.elements",
    "pointwise.weights",
    "total.count",
    "vector.count",
    "activation.count",
    "elementwise.count",
    "pool.count",
    "depthwise.count.kernel_3",
    "depthwise.count.kernel_5",
    "depthwise.count.kernel_7",
    "depthwise.count.kernel_other",
)
"""Features that have a coefficient; each is a sum over nodes, so blocks have a cost as networks do."""

_ROUNDS = 5
_LEAST_DEVIATION = 0.02  # no device repeats itself better than this
_COLUMNS = [SUM_NAMES.index(name) for name in TERMS]


def fit_cost(matrix: NDArray[np.float64], latencies_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Non-negative least squares on relative errors, by which measurements that went wrong count less.

    Args:
        matrix: features of the measured networks, shape ``(networks, features)``.
        latencies_s: their latencies in seconds, shape ``(networks,)``.

    Returns:
        Seconds per unit of every term, and last the seconds that every network takes; shape ``(len(TERMS) + 1,)``.
    """
    terms = np.concatenate([matrix[:, _COLUMNS], np.ones((len(matrix), 1))], axis=1)
    scale = np.maximum(terms.max(axis=0), 1e-12)
    trusted = np.ones(len(terms))
    for _ in range(_ROUNDS):
        rows = np.sqrt(trusted)
        weights = nnls(terms / scale * (rows / latencies_s)[:, None], rows)[0] / scale
        trusted = trust(terms @ weights, latencies_s)
    return np.asarray(weights, np.float64)


def trust(expected_s: NDArray[np.float64], measured_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far each measurement is to be believed, 0..1, shape ``(networks,)``.

    Huber's weights (1964): 1 within ``error_bound`` of what the model expects, less the further out.
    """
    error = np.abs(log_error(expected_s, measured_s))
    return np.asarray(np.minimum(1.0, error_bound(error) / np.maximum(error, 1e-12)), np.float64)


def log_error(expected_s: NDArray[np.float64], measured_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """log(measured / expected), shape ``(networks,)``; an expectation of almost nothing counts as a thousandth."""
    return np.asarray(np.log(measured_s / np.maximum(expected_s, 1e-3 * measured_s)), np.float64)


def error_bound(log_errors: NDArray[np.float64]) -> float:
    """Size beyond which a log error is an accident: twice the standard deviation as the median error tells it.

    On a machine with other work to do some measurements are several times too slow; they must not bend the model.
    """
    return 2 * max(1.4826 * float(np.median(np.abs(log_errors))), _LEAST_DEVIATION)


def predict_cost(matrix: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Seconds of networks (or, less the constant, blocks) by their features; shape ``(networks,)``."""
    return np.asarray(block_cost(matrix, weights) + weights[-1], np.float64)


def block_cost(sums: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Seconds of blocks by their sums, the networks' constant left out; shape ``(blocks,)``."""
    return np.asarray(sums[:, _COLUMNS] @ weights[:-1], np.float64)
