"""How good predictions are, on networks that the predictor has not seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from latency_predictors.errors import PredictorError


@dataclass(frozen=True, slots=True)
class PredictorScores:
    """Agreement of predicted with measured latencies.

    Attributes:
        spearman: rank correlation, -1..1; 0 where all predictions are equal.
        kendall: rank correlation by pairs (tau-b), -1..1; 0 where all predictions are equal.
        mape: mean absolute error as a share of the measured latency, 0.05 for 5 %.
        mae_s: mean absolute error in seconds.
        within_10_percent: share of networks predicted to within 10 % of the measured latency, 0..1.
        count: networks that were compared.
    """

    spearman: float
    kendall: float
    mape: float
    mae_s: float
    within_10_percent: float
    count: int

    def passes(self, *, min_spearman: float = 0.9, max_mape: float = 0.3) -> bool:
        """Whether the predictor may be trusted in a search."""
        return self.spearman >= min_spearman and self.mape <= max_mape

    def to_json(self) -> dict[str, Any]:
        """Plain values by name."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> PredictorScores:
        """The reverse of ``to_json``.

        Raises:
            PredictorError: a score is missing.
        """
        missing = [field.name for field in fields(cls) if field.name not in values]
        if missing:
            raise PredictorError(f"scores lack {missing}; there are {sorted(values)}")
        return cls(**{field.name: values[field.name] for field in fields(cls)})


def score(predicted_s: ArrayLike, measured_s: ArrayLike) -> PredictorScores:
    """Compare predicted with measured latencies, both in seconds and of shape ``(networks,)``.

    Raises:
        PredictorError: shapes that differ, fewer than two networks, or measurements that cannot be compared with.
    """
    # Only scoring needs scipy.stats, which takes long to import.
    from scipy.stats import kendalltau, spearmanr  # noqa: PLC0415

    predicted, measured = np.asarray(predicted_s, np.float64), checked_latencies(measured_s)
    if predicted.shape != measured.shape:
        raise PredictorError(f"{predicted.shape} predictions were given for {measured.shape} measurements")
    if not np.isfinite(predicted).all():
        raise PredictorError(f"{int((~np.isfinite(predicted)).sum())} of {len(predicted)} predictions are not finite")
    error = np.abs(predicted - measured)
    varies = np.ptp(predicted) > 0
    return PredictorScores(
        spearman=float(spearmanr(predicted, measured)[0]) if varies else 0.0,
        kendall=float(kendalltau(predicted, measured)[0]) if varies else 0.0,
        mape=float((error / measured).mean()),
        mae_s=float(error.mean()),
        within_10_percent=float((error <= 0.1 * measured).mean()),
        count=len(measured),
    )


def checked_latencies(latencies_s: ArrayLike, *, minimum: int = 2) -> NDArray[np.float64]:
    """Latencies that can be learnt from or compared with, shape ``(networks,)``.

    Raises:
        PredictorError: fewer than ``minimum``, not finite, not positive, or all the same.
    """
    latencies = np.asarray(latencies_s, np.float64)
    if latencies.ndim != 1 or len(latencies) < minimum:
        raise PredictorError(f"latencies of shape {latencies.shape} were given; measure at least {minimum} networks")
    wrong = np.flatnonzero(~(np.isfinite(latencies) & (latencies > 0)))
    if len(wrong):
        shown = [f"{latencies[index]} at {index}" for index in wrong[:5]]
        raise PredictorError(
            f"{len(wrong)} of {len(latencies)} latencies are not positive numbers of seconds ({', '.join(shown)}); "
            "leave failed measurements out"
        )
    if np.ptp(latencies) == 0:
        raise PredictorError(
            f"all {len(latencies)} latencies are {latencies[0]} s; measure networks that differ, with a finer clock"
        )
    return latencies
