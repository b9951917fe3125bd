"""Gradient boosting of regression trees."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from latency_predictors.trees import TREE_ARRAYS, fit_trees, sum_of_trees
from nas.accuracy.encoding import Encoded
from nas.accuracy.errors import AccuracyError
from nas.accuracy.predictor import State
from nas.accuracy.table_predictor import Arrays, TablePredictor
from nas.accuracy.tables import INPUTS
from search_spaces import SearchSpace

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]


@dataclass(frozen=True)
class _Setting:
    """What cross-validation chooses: columns and depth of the trees."""

    inputs: int
    depth: int


class BoostingPredictor(TablePredictor[_Setting]):
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
    settings = tuple(_Setting(*row) for row in product(range(len(INPUTS)), (2, 4)))

    def __init__(self, space: SearchSpace, *, trees: int = 200, learning_rate: float = 0.07, seed: int = 0) -> None:
        super().__init__(space)
        if not trees > 0 or not learning_rate > 0:
            raise AccuracyError(f"boosting: trees {trees} and learning_rate {learning_rate}: give positive numbers")
        self.trees, self.learning_rate, self.seed = trees, learning_rate, seed

    def _learn(self, setting: _Setting, columns: Matrix, target: Vector) -> Arrays:
        return fit_trees(columns, target, depth=setting.depth, **self.options())

    @staticmethod
    def _values(columns: Matrix, arrays: Arrays) -> Vector:
        return sum_of_trees(columns, arrays)

    def options(self) -> dict[str, Any]:
        """Number and rate of the trees, and the seed."""
        return {"trees": self.trees, "learning_rate": self.learning_rate, "seed": self.seed}

    def state(self) -> State:
        """Which columns, and the trees."""
        trees = {f"trees.{name}": array for name, array in self.model_.arrays.items()}
        return {"inputs": np.array(INPUTS.index(self.model_.table.inputs)), **trees}

    def _restore(self, networks: Encoded, accuracies: Vector, state: State) -> None:
        trees = {name: state[f"trees.{name}"] for name in TREE_ARRAYS}
        self._take_over(int(state["inputs"].item()), networks, accuracies, trees)
