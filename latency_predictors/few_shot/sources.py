"""Devices known beforehand: what each would take for any network, its measurements' noise taken out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from latency_predictors.few_shot.description import Floats, Ints
from latency_predictors.few_shot.response import SHIFTS, inverse, log_slope, transform
from latency_predictors.few_shot.ridge import RidgeFit, fit_ridge, left_out_density

_ROUNDS = 8


@dataclass(frozen=True)
class Sources:
    """A ridge fit of every known device, in the transform that suits it.

    Attributes:
        weights: shape ``(features, devices)``.
        offsets: shape ``(devices,)``.
        shifts: of every device's transform, shape ``(devices,)``.
        typical_s: median latency of every device in seconds, shape ``(devices,)``.
        noise: relative deviation of a measurement from the fit, shape ``(devices,)``.
    """

    weights: Floats
    offsets: Floats
    shifts: Floats
    typical_s: Floats
    noise: Floats

    def relative(self, features: Floats) -> Floats:
        """Latencies as shares of each device's typical one, shape ``(networks, devices)``."""
        values = features @ self.weights + self.offsets
        columns = [inverse(values[:, index], shift) for index, shift in enumerate(self.shifts.tolist())]
        return np.stack(columns, axis=1) if columns else np.zeros((len(features), 0))


def fit_sources(features: Floats, group: Ints, latencies_s: Floats) -> Sources:
    """Fit every device; its transform is the one under which left-out measurements are most likely.

    Args:
        features: centred, shape ``(networks, features)``.
        group: group of every feature.
        latencies_s: shape ``(networks, devices)``; NaN where a device was not measured.
    """
    typical = np.nanmedian(latencies_s, axis=0)
    gram = features.T @ features
    best: list[tuple[RidgeFit, float]] = []
    for relative in (latencies_s / typical).T:
        measured = np.isfinite(relative)
        known = gram if measured.all() else None
        rows, shares = features[measured], relative[measured]
        tried = []
        for shift in SHIFTS:
            response = transform(shares, shift)
            fit = fit_ridge(rows, group, response, rounds=_ROUNDS, gram=known)
            density = left_out_density(fit, rows, response) + log_slope(shares, shift)
            tried.append((float(density.sum()), fit, shift))
        _, fit, shift = max(tried, key=lambda entry: entry[0])
        best.append((fit, shift))
    return Sources(
        weights=np.ascontiguousarray(np.array([fit.weights for fit, _ in best]).reshape(-1, features.shape[1]).T),
        offsets=np.array([fit.offset for fit, _ in best]),
        shifts=np.array([shift for _, shift in best]),
        typical_s=typical,
        noise=np.sqrt(np.array([fit.noise for fit, _ in best])),
    )
