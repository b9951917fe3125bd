"""From what a peer predicts to seconds, without changing the order of networks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_LEAST_SLOPE = 1e-6


def positive(values: Floats, least: float) -> Floats:
    """Values as they are down to ``least``; what is lower approaches zero and keeps its order."""
    low = np.minimum(values, least)
    return np.where(values < least, least * np.exp(low / least - 1), values)


def from_scores(scores: Floats, measured: NDArray[np.intp], latencies_s: Floats) -> Floats:
    """Seconds of networks of which only the order was learnt: log-linear in the score, through the measured ones.

    Args:
        scores: of every network, larger where slower, shape ``(networks,)``.
        measured: networks that were measured.
        latencies_s: theirs in seconds.
    """
    own, logs = scores[measured] - scores[measured].mean(), np.log(latencies_s)
    slope = float(own @ logs) / max(float(own @ own), 1e-12)
    return np.asarray(np.exp(logs.mean() + max(slope, _LEAST_SLOPE) * (scores - scores[measured].mean())), np.float64)
