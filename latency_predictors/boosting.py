"""Gradient boosting on what the physical cost model leaves over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from latency_predictors.cost import error_bound, fit_cost, log_error, predict_cost
from latency_predictors.cost_model import smallest_prediction
from latency_predictors.errors import PredictorError
from latency_predictors.features import feature_matrix
from latency_predictors.predictor import LatencyPredictor
from search_spaces.network import Network

if TYPE_CHECKING:
    from sklearn.ensemble import GradientBoostingRegressor


class FeaturePredictor(LatencyPredictor):
    """Scikit-learn's gradient boosting (Friedman 2001) of log(measured / physical model) on network features.

    Trees cannot extrapolate, and the physical model can: together they fit forty networks where boosting alone needs
    hundreds. What a single measurement may ask of the trees is bounded, as some go wrong. The trees are kept as plain
    arrays, so a saved predictor needs no pickle and predicts bit for bit the same under any version of scikit-learn.

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
        # Only fitting needs scikit-learn, which takes a second to import.
        from sklearn.ensemble import GradientBoostingRegressor  # noqa: PLC0415

        matrix = feature_matrix(networks)
        self.weights_ = fit_cost(matrix, latencies_s)
        self.floor_s_ = smallest_prediction(latencies_s)
        physical = np.maximum(predict_cost(matrix, self.weights_), self.floor_s_)
        model = GradientBoostingRegressor(
            n_estimators=self.trees,
            learning_rate=self.learning_rate,
            max_depth=self.depth,
            subsample=0.7,
            max_features=0.3,
            init="zero",
            random_state=self.seed,
        )
        error = log_error(physical, latencies_s)
        bound = error_bound(error)
        model.fit(matrix, np.clip(error, -bound, bound))
        self.trees_ = tree_arrays(model)

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
        self.trees_ = {name: arrays[f"trees.{name}"] for name in ("feature", "threshold", "left", "right", "value")}


def tree_arrays(model: GradientBoostingRegressor) -> dict[str, NDArray[Any]]:
    """Nodes of all trees, padded to one length: each array has shape ``(trees, nodes)``; leaves lead to themselves."""
    trees = [estimator.tree_ for estimator in model.estimators_[:, 0]]
    shape = (len(trees), max(tree.node_count for tree in trees))
    arrays: dict[str, NDArray[Any]] = {
        "feature": np.zeros(shape, np.int64),
        "threshold": np.full(shape, np.inf),
        "left": np.zeros(shape, np.int64),
        "right": np.zeros(shape, np.int64),
        "value": np.zeros(shape),
    }
    for row, tree in enumerate(trees):
        nodes = np.arange(tree.node_count)
        leaf = tree.children_left < 0
        used = slice(tree.node_count)
        arrays["feature"][row, used] = np.where(leaf, 0, tree.feature)
        arrays["threshold"][row, used] = np.where(leaf, np.inf, tree.threshold)
        arrays["left"][row, used] = np.where(leaf, nodes, tree.children_left)
        arrays["right"][row, used] = np.where(leaf, nodes, tree.children_right)
        arrays["value"][row, used] = model.learning_rate * tree.value[:, 0, 0]
    return arrays


def sum_of_trees(matrix: NDArray[np.float64], trees: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
    """Sum of the trees' values for features of shape ``(networks, features)``; shape ``(networks,)``."""
    narrow = matrix.astype(np.float32)  # the precision that scikit-learn compares features with thresholds in
    row = np.arange(len(trees["feature"]))[None, :]
    node = np.zeros((len(matrix), row.shape[1]), np.int64)
    networks = np.arange(len(matrix))[:, None]
    while True:
        goes_left = narrow[networks, trees["feature"][row, node]] <= trees["threshold"][row, node]
        following = np.where(goes_left, trees["left"][row, node], trees["right"][row, node])
        if (following == node).all():
            return np.asarray(trees["value"][row, node].sum(axis=1), np.float64)
        node = following
