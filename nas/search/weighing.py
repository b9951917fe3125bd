"""One figure of merit for strategies that know a single objective."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nas.search.spread import scale_of

INFEASIBLE = 1e6
"""Added to the merit of whatever breaks a limit, above every weighted sum of scaled costs."""


def weighted(
    costs: NDArray[np.float64], violations: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Weighted Chebyshev distance from the best values found, less is better; what breaks a limit comes last.

    Args:
        costs: shape ``(..., networks, objectives)``.
        violations: shape ``(..., networks)``, 0 where every limit is kept.
        weights: shape ``(..., 1, objectives)``, 0 or more.

    Returns:
        Shape ``(..., networks)``.
    """
    flat = costs.reshape(-1, costs.shape[-1])
    known = np.isfinite(flat).all(axis=1)
    low, span = scale_of(flat[known]) if known.any() else (np.zeros(flat.shape[1]), np.ones(flat.shape[1]))
    scaled = np.where(np.isfinite(costs), (costs - low) / span, 1.0)
    merit = (weights * scaled).max(axis=-1) + 1e-3 * (weights * scaled).sum(axis=-1)
    return np.asarray(np.where(violations > 0, INFEASIBLE * (1 + violations), merit), np.float64)
