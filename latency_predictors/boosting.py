"""Gradient boosting on what the physical cost model leaves over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from latency_predictors.cost import error_bound, fit_cost, log_error, predict_cost
from latency_predictors.cost_model import smallest_prediction
from latency_predictors.errors import PredictorError
from latency_predictors.features import feature_matrix
from latency_predictors.predictor import LatencyPredictor
from latency_predictors.trees import TREE_ARRAYS, fit_trees, sum_of_trees
from search_spaces.network import Network


class FeaturePredictor(LatencyPredictor):
    """Scikit-learn's gradient boosting (Friedman 2001) of log(measured / physical model) on network features.

    Trees cannot extrapolate, and the physical model can: together they fit forty networks where boosting alone needs
    hundreds. What a single measurement may ask of the trees is bounded, as some go wrong.

    Attributes:
        weights_: the physical model, as in ``cost.fit_cost``.
        trees_: the fitted trees.
        floor_s_: smallest latency ever predicted, in seconds.
    """

    name: ClassVar[str] = "boosting"

    def __init__(self, *, trees: int = 200, learning_rate: float = 0.05, depth: int = 3, seed: int = 0) -> None:
        super().__init__()
        for option, value in (("trees", trees), ("learning_rate", learning_rate), ("depth", depth)):
            if not value > 0:
                raise PredictorError(f"predictor {self.name!r}: {option} is {value}; give a positive number")
        self.trees, self.learning_rate, self.depth, self.seed = trees, learning_rate, depth, seed

    def _fit(self, networks: Sequence[Network], latencies_s: NDArray[np.float64]) -> None:
        matrix = feature_matrix(networks)
        self.weights_ = fit_cost(matrix, latencies_s)
        self.floor_s_ = smallest_prediction(latencies_s)
        physical = np.maximum(predict_cost(matrix, self.weights_), self.floor_s_)
        error = log_error(physical, latencies_s)
        bound = error_bound(error)
        self.trees_ = fit_trees(matrix, np.clip(error, -bound, bound), **self.options())

    def _predict(self, networks: Sequence[Network]) -> NDArray[np.float64]:
        matrix = feature_matrix(networks)
        physical = np.maximum(predict_cost(matrix, self.weights_), self.floor_s_)
        return np.asarray(physical * np.exp(sum_of_trees(matrix, self.trees_)), np.float64)

    def options(self) -> dict[str, Any]:
        """Size, rate and depth of the trees, and the seed that draws their samples."""
        return {"trees": self.trees, "learning_rate": self.learning_rate, "depth": self.depth, "seed": self.seed}

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """The physical model and the trees."""
        arrays = {f"trees.{name}": array for name, array in self.trees_.items()}
        return {"weights": self.weights_, **arrays}, {"floor_s": self.floor_s_}

    def restore(self, arrays: Mapping[str, NDArray[Any]], values: Mapping[str, Any]) -> None:
        """Take over what ``state`` gave."""
        self.weights_ = arrays["weights"]
        self.floor_s_ = float(values["floor_s"])
        self.trees_ = {name: arrays[f"trees.{name}"] for name in TREE_ARRAYS}
