"""Bayesian ridge regression in groups: how much each group of features matters, by the evidence.

Equal to a Gaussian process whose kernel is a weighted sum of the groups' linear kernels. Weights of a group share one
prior variance; the variances are those under which the measurements are most likely (MacKay 1992, Bayesian
Interpolation, section 5: the fixed point ``variance = |w|^2 / well-determined parameters``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from latency_predictors.few_shot.description import Floats, Ints

_LEAST_VARIANCE = 1e-9
_LEAST_NOISE = 1e-6


@dataclass(frozen=True)
class RidgeFit:
    """Weights and what they were learnt with.

    Attributes:
        weights: shape ``(features,)``; of the centred features.
        offset: of the response.
        variances: prior variance of the weights of every group, shape ``(groups,)``.
        noise: variance of what the features leave over.
        covariance: of the weights, shape ``(features, features)``.
    """

    weights: Floats
    offset: float
    variances: Floats
    noise: float
    covariance: Floats


def fit_ridge(features: Floats, group: Ints, response: Floats, *, rounds: int, gram: Floats | None = None) -> RidgeFit:
    """Fit weights, variances of groups and noise.

    Args:
        features: centred, shape ``(networks, features)``.
        group: group of every feature, shape ``(features,)``.
        response: shape ``(networks,)``.
        rounds: updates of the variances.
        gram: ``features.T @ features``, where it is known already.
    """
    count = int(group.max()) + 1
    gram = features.T @ features if gram is None else gram
    offset = float(response.mean())
    centred = response - offset
    moment, total = features.T @ centred, float(centred @ centred)
    variances = np.full(count, total / len(response) / count)
    noise = 0.1 * total / len(response)
    members = np.maximum(np.bincount(group, minlength=count), 1)
    for _ in range(rounds):
        weights, covariance = _posterior(gram, moment, variances[group], noise)
        determined = members - np.bincount(group, weights=np.diag(covariance), minlength=count) / variances
        squares = np.bincount(group, weights=weights**2, minlength=count)
        variances = np.maximum(squares / np.maximum(determined, 1e-3), _LEAST_VARIANCE)
        left = total - 2 * weights @ moment + weights @ gram @ weights
        noise = max(float(left) / max(len(response) - float(determined.sum()), 1.0), _LEAST_NOISE)
    weights, covariance = _posterior(gram, moment, variances[group], noise)
    return RidgeFit(weights, offset, variances, noise, covariance)


def left_out_density(fit: RidgeFit, features: Floats, response: Floats) -> Floats:
    """Log density of every response by a fit to the others, scales held; shape ``(networks,)``.

    The leave-one-out residual of a linear smoother is its residual over one less its leverage.
    """
    leverage = np.einsum("nf,fg,ng->n", features, fit.covariance / fit.noise, features, optimize=True) + 1 / len(
        features
    )
    kept = np.maximum(1 - leverage, 1e-3)
    variance = fit.noise / kept
    error = (response - fit.offset - features @ fit.weights) / kept
    return np.asarray(-0.5 * (error**2 / variance + np.log(2 * np.pi * variance)), np.float64)


def _posterior(gram: Floats, moment: Floats, variance: Floats, noise: float) -> tuple[Floats, Floats]:
    """Mean and covariance of the weights."""
    root = np.sqrt(variance)
    inner = root[:, None] * gram * root / noise
    inner[np.diag_indices_from(inner)] += 1
    covariance = root[:, None] * np.linalg.inv(inner) * root
    return covariance @ moment / noise, covariance
