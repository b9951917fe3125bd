"""Gradient boosting of regression trees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from latency_predictors.boosting import sum_of_trees, tree_arrays
from nas.accuracy.encoding import Encoded
from nas.accuracy.errors import AccuracyError
from nas.accuracy.left_out import spaced
from nas.accuracy.predictor import AccuracyPredictor, Scale, State
from nas.accuracy.scores import HeldOut
from nas.accuracy.tables import INPUTS, Table, best_setting
from search_spaces import SearchSpace

Vector = NDArray[np.float64]

_FOLDS = 3


@dataclass(frozen=True)
class _Setting:
    """What cross-validation chooses: columns and depth of the trees."""

    inputs: int
    depth: int


_GRID = tuple(_Setting(*row) for row in product(range(len(INPUTS)), (2, 4)))


class _Fitted:
    """Fitted trees as plain arrays."""

    def __init__(self, table: Table, scale: Scale, trees: Mapping[str, NDArray[Any]]) -> None:
        self._table, self._scale, self.trees = table, scale, trees

    def __call__(self, networks: Encoded) -> tuple[Vector, Vector]:
        values = sum_of_trees(self._table.columns(networks), self.trees)
        return self._scale.up(values), np.ones(len(values))


class BoostingPredictor(AccuracyPredictor):
    """Scikit-learn's gradient boosting (Friedman 2001); columns and depth of the trees by cross-validation.

    Args:
        space: whose networks are predicted.
        trees: number of trees.
        learning_rate: share of each tree's answer that is taken.
        seed: draws the samples and columns that each tree sees.

    Raises:
        AccuracyError: a number of trees or a learning rate that is not positive.
    """

    name: ClassVar[str] = "boosting"

    def __init__(self, space: SearchSpace, *, trees: int = 200, learning_rate: float = 0.07, seed: int = 0) -> None:
        super().__init__(space)
        if not trees > 0 or not learning_rate > 0:
            raise AccuracyError(f"boosting: trees {trees} and learning_rate {learning_rate}: give positive numbers")
        self.trees, self.learning_rate, self.seed = trees, learning_rate, seed

    def _fit(self, networks: Encoded, accuracies: Vector) -> HeldOut:
        chosen = spaced(len(accuracies))
        setting, held_out = best_setting(_GRID, self._boost, networks.take(chosen), accuracies[chosen], _FOLDS)
        self.inputs_, self.boosted_ = setting.inputs, self._boost(setting, networks, accuracies)
        return held_out

    def _predict(self, networks: Encoded) -> tuple[Vector, Vector]:
        return self.boosted_(networks)

    def _boost(self, setting: _Setting, networks: Encoded, accuracies: Vector) -> _Fitted:
        # Only fitting needs scikit-learn, which takes a second to import.
        from sklearn.ensemble import GradientBoostingRegressor  # noqa: PLC0415

        table, scale = Table(self.encoding, INPUTS[setting.inputs], networks), Scale(accuracies)
        model = GradientBoostingRegressor(
            n_estimators=self.trees,
            learning_rate=self.learning_rate,
            max_depth=setting.depth,
            subsample=0.7,
            max_features=0.3,
            init="zero",
            random_state=self.seed,
        )
        return _Fitted(table, scale, tree_arrays(model.fit(table.columns(networks), scale.down(accuracies))))

    def options(self) -> dict[str, Any]:
        """Number and rate of the trees, and the seed."""
        return {"trees": self.trees, "learning_rate": self.learning_rate, "seed": self.seed}

    def state(self) -> State:
        """Which columns, and the trees."""
        return {"inputs": np.array(self.inputs_), **{f"trees.{n}": array for n, array in self.boosted_.trees.items()}}

    def _restore(self, networks: Encoded, accuracies: Vector, state: State) -> None:
        self.inputs_ = int(state["inputs"].item())
        trees = {name: state[f"trees.{name}"] for name in ("feature", "threshold", "left", "right", "value")}
        table = Table(self.encoding, INPUTS[self.inputs_], networks)
        self.boosted_ = _Fitted(table, Scale(accuracies), trees)
