"""Which networks to measure on a device that nobody knows: those it can differ most on.

Greedy D-optimal design (Chaloner and Verdinelli 1995, section 2.2): each network is the one that is least certain given
those before it, which lowers the determinant of the posterior covariance most. The choice looks at networks and at
known devices, never at the target.
"""

from __future__ import annotations

import numpy as np

from latency_predictors.errors import PredictorError
from latency_predictors.few_shot.description import Floats, Ints
from latency_predictors.few_shot.posterior import OFFSET_VARIANCE, SHARE_RATE
from latency_predictors.few_shot.prior import Deviations
from latency_predictors.few_shot.response import SHIFTS, transform
from latency_predictors.few_shot.target import Encoded

_TRANSFORM = 1  # the one in the middle
_NOISE = 0.03**2


def choose_networks(
    deviations: tuple[Deviations, ...], pool: Encoded, count: int, *, seen: Encoded | None = None
) -> Ints:
    """Rows of the pool to measure, the most telling first.

    Args:
        deviations: of the fleet, by transform.
        pool: networks that could be measured.
        count: how many to choose.
        seen: networks that were measured already.

    Raises:
        PredictorError: fewer networks in the pool than asked for.
    """
    if not 0 <= count <= len(pool):
        raise PredictorError(f"{count} networks were asked for from a pool of {len(pool)}; give a larger pool")
    features = _prior_features(deviations[_TRANSFORM], pool)
    left = (features**2).sum(axis=1)
    factor = np.zeros((len(pool), 0))
    before = np.zeros((0, features.shape[1])) if seen is None else _prior_features(deviations[_TRANSFORM], seen)
    if len(before):
        root = np.linalg.cholesky(before @ before.T + _NOISE * np.eye(len(before)))
        factor = np.linalg.solve(root, before @ features.T).T
        left = left - (factor**2).sum(axis=1)
    chosen: list[int] = []
    open_ = np.ones(len(pool), bool)
    for _ in range(count):
        best = int(np.argmax(np.where(open_, left, -np.inf)))
        column = (features @ features[best] - factor @ factor[best]) / np.sqrt(left[best] + _NOISE)
        factor = np.concatenate([factor, column[:, None]], axis=1)
        left = np.maximum(left - column**2, 0)
        open_[best] = False
        chosen.append(best)
    return np.array(chosen, np.intp)


def _prior_features(known: Deviations, networks: Encoded) -> Floats:
    """Features whose products are the prior covariance of responses, averaged over hypotheses."""
    sizes = known.variances.mean(axis=0)
    mixed = transform(networks.mixed, SHIFTS[_TRANSFORM]) - known.mean
    share = np.sqrt(1 / SHARE_RATE**2 + sizes[-1] / known.span**2)
    offset = np.full((len(networks), 1), np.sqrt(OFFSET_VARIANCE))
    return np.concatenate([networks.features * np.sqrt(sizes[networks.group]), mixed * share, offset], axis=1)
