"""The physical cost model alone: for very few measurements, and as the bar that the others must pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from latency_predictors.cost import TERMS, fit_cost, predict_cost
from latency_predictors.features import feature_matrix
from latency_predictors.predictor import LatencyPredictor
from search_spaces.network import Network


class CostModelPredictor(LatencyPredictor):
    """Seconds per multiply-accumulate, per element and per launch, for each kind of operation.

    Attributes:
        weights_: seconds per unit of every entry of ``cost.TERMS``, then the constant.
        floor_s_: smallest latency ever predicted, in seconds.
    """

    name: ClassVar[str] = "cost_model"

    def seconds_per_unit(self) -> dict[str, float]:
        """Fitted coefficients that are not zero, by term; ``constant`` is what every network takes."""
        named = zip((*TERMS, "constant"), self.weights_.tolist(), strict=True)
        return {term: weight for term, weight in named if weight > 0}

    def _fit(self, networks: Sequence[Network], latencies_s: NDArray[np.float64]) -> None:
        self.weights_ = fit_cost(feature_matrix(networks), latencies_s)
        self.floor_s_ = smallest_prediction(latencies_s)

    def _predict(self, networks: Sequence[Network]) -> NDArray[np.float64]:
        return np.maximum(predict_cost(feature_matrix(networks), self.weights_), self.floor_s_)

    def options(self) -> dict[str, Any]:
        """There are none."""
        return {}

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """The coefficients."""
        return {"weights": self.weights_}, {"floor_s": self.floor_s_}

    def restore(self, arrays: Mapping[str, NDArray[Any]], values: Mapping[str, Any]) -> None:
        """Take over what ``state`` gave."""
        self.weights_ = arrays["weights"]
        self.floor_s_ = float(values["floor_s"])


def smallest_prediction(latencies_s: NDArray[np.float64]) -> float:
    """A hundredth of the fastest measured network: no prediction is zero, however small the network."""
    return float(latencies_s.min()) / 100
