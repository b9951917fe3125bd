"""How well predicted accuracies agree with those found."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.accuracy.errors import AccuracyError

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class AccuracyScores:
    """Agreement of predicted with found accuracies.

    Attributes:
        kendall: rank correlation by pairs (tau-b), -1..1; 0 where all predictions, or all accuracies, are equal.
        mae: mean absolute error, as a share of the images: 0.01 is one point.
        count: networks that were compared.
    """

    kendall: float
    mae: float
    count: int

    def to_json(self) -> dict[str, Any]:
        """Plain values by name."""
        return asdict(self)


@dataclass(frozen=True)
class HeldOut:
    """Predictions for networks by predictors that had not learnt from them.

    Attributes:
        predicted: shape ``(networks,)``.
        spread: how uncertain each prediction is by the predictor's own account, above 0, shape ``(networks,)``; only
            its proportions count.
        found: the accuracies, shape ``(networks,)``.
    """

    predicted: Vector
    spread: Vector
    found: Vector

    @property
    def scores(self) -> AccuracyScores:
        """Agreement of the two."""
        return score(self.predicted, self.found)

    def width(self, coverage: float) -> float:
        """Half the width of an interval that holds this share of accuracies, for a spread of 1.

        Split conformal prediction with normalised errors (Lei et al. 2018, section 5.2).

        Raises:
            AccuracyError: a coverage that so few networks cannot support.
        """
        if not 0 < coverage < 1:
            raise AccuracyError(f"coverage is {coverage}; give a share between 0 and 1, such as 0.9")
        errors = np.sort(np.abs(self.found - self.predicted) / self.spread)
        rank = ceil((len(errors) + 1) * coverage)
        if rank > len(errors):
            most = len(errors) / (len(errors) + 1)
            raise AccuracyError(
                f"{len(errors)} held-out networks support a coverage of at most {most:.3f}; {coverage} was asked for"
            )
        return float(errors[rank - 1])


def score(predicted: Vector, found: Vector) -> AccuracyScores:
    """Compare predicted with found accuracies, both of shape ``(networks,)``.

    Raises:
        AccuracyError: shapes that differ, fewer than two networks, or values that are not finite.
    """
    # Only scoring needs scipy.stats, which takes long to import.
    from scipy.stats import kendalltau  # noqa: PLC0415

    if predicted.shape != found.shape or predicted.ndim != 1 or len(found) < 2:
        raise AccuracyError(f"{predicted.shape} predictions and {found.shape} accuracies: give as many, two or more")
    if not np.isfinite(predicted).all() or not np.isfinite(found).all():
        raise AccuracyError("predictions or accuracies are not finite; only numbers can be compared")
    varies = np.ptp(predicted) > 0 and np.ptp(found) > 0
    tau = float(kendalltau(predicted, found)[0]) if varies else 0.0
    return AccuracyScores(kendall=tau, mae=float(np.abs(predicted - found).mean()), count=len(found))
