"""Transforms of latency in which features add up: from the logarithm, where effects multiply, to latency itself."""

from __future__ import annotations

import numpy as np

from latency_predictors.few_shot.description import Floats

SHIFTS = (0.05, 0.4, 2.0)
"""Shifts of the logarithm that are tried; a device that has fixed costs or values near zero asks for a large one."""

_SMALLEST = 1e-4  # of the typical latency; no network is faster
_LARGEST = 1e4


def transform(relative: Floats, shift: float) -> Floats:
    """``(1 + c) log((x + c) / (1 + c))``: 0 at a relative latency of 1, where its slope is 1.

    Args:
        relative: latency as a share of a typical one, any shape.
        shift: ``c``; the larger, the straighter.
    """
    held = np.maximum(relative, _SMALLEST)
    return np.asarray((1 + shift) * np.log((held + shift) / (1 + shift)), np.float64)


def inverse(value: Floats, shift: float) -> Floats:
    """Relative latency that ``transform`` takes to a value; held within four powers of ten of the typical one."""
    bound = np.log((_LARGEST + shift) / (1 + shift))
    relative = (1 + shift) * np.exp(np.minimum(value / (1 + shift), bound)) - shift
    return np.asarray(np.maximum(relative, _SMALLEST), np.float64)


def log_slope(relative: Floats, shift: float) -> Floats:
    """Logarithm of the derivative of ``transform``: what densities of transformed latencies are multiplied by."""
    return np.asarray(np.log((1 + shift) / (np.maximum(relative, _SMALLEST) + shift)), np.float64)
