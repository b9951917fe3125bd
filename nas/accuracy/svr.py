"""Support vector regression."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import product
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nas.accuracy.encoding import Encoded
from nas.accuracy.predictor import State
from nas.accuracy.table_predictor import Arrays, TablePredictor
from nas.accuracy.tables import INPUTS

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]


@dataclass(frozen=True)
class _Setting:
    """What cross-validation chooses: columns, cost of errors, and inverse squared radius times the columns."""

    inputs: int
    cost: float
    gamma: float


_EPSILON = 0.05


class SvrPredictor(TablePredictor[_Setting]):
    """Scikit-learn's support vector regression with a Gaussian kernel; settings and columns by cross-validation."""

    name: ClassVar[str] = "svr"
    settings = tuple(_Setting(*row) for row in product(range(len(INPUTS)), (1.0, 10.0, 100.0), (0.01, 0.1, 1.0)))

    def _learn(self, setting: _Setting, columns: Matrix, target: Vector) -> Arrays:
        # Only fitting needs scikit-learn, which takes a second to import.
        from sklearn.svm import SVR  # noqa: PLC0415

        gamma = setting.gamma / columns.shape[1]
        model = SVR(C=setting.cost, gamma=gamma, epsilon=_EPSILON).fit(columns, target)
        arrays = {
            "gamma": np.array(gamma),
            "support": model.support_vectors_,
            "coefficients": model.dual_coef_[0],
            "offset": model.intercept_[0],
        }
        return {name: np.asarray(array, np.float64) for name, array in arrays.items()}

    @staticmethod
    def _values(columns: Matrix, arrays: Arrays) -> Vector:
        """``Σ_i coefficient_i exp(−γ |x − x_i|²) + offset``."""
        support = arrays["support"]
        squares = (columns**2).sum(1)[:, None] + (support**2).sum(1) - 2 * columns @ support.T
        return np.asarray(np.exp(-arrays["gamma"] * squares) @ arrays["coefficients"] + arrays["offset"], np.float64)

    def options(self) -> dict[str, Any]:
        """It has none."""
        return {}

    def state(self) -> State:
        """The setting and the support vectors."""
        setting = {f"setting.{name}": np.array(value) for name, value in asdict(self.setting_).items()}
        return {**setting, **self.model_.arrays}

    def _restore(self, networks: Encoded, accuracies: Vector, state: State) -> None:
        values = (state[f"setting.{name}"] for name in ("inputs", "cost", "gamma"))
        inputs, cost, gamma = (float(value.item()) for value in values)
        self.setting_ = _Setting(int(inputs), cost, gamma)
        arrays = {name: state[name] for name in ("gamma", "support", "coefficients", "offset")}
        self._take_over(self.setting_.inputs, networks, accuracies, arrays)
