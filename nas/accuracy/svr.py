"""Support vector regression."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nas.accuracy.encoding import Encoded
from nas.accuracy.left_out import spaced
from nas.accuracy.predictor import AccuracyPredictor, Scale, State
from nas.accuracy.scores import HeldOut
from nas.accuracy.tables import INPUTS, Table, best_setting

Vector = NDArray[np.float64]

_FOLDS = 3


@dataclass(frozen=True)
class _Setting:
    """What cross-validation chooses: columns, cost of errors, and inverse squared radius times the columns."""

    inputs: int
    cost: float
    gamma: float


_GRID = tuple(_Setting(*row) for row in product(range(len(INPUTS)), (1.0, 10.0, 100.0), (0.01, 0.1, 1.0)))
_EPSILON = 0.05


class _Fitted:
    """A fitted regression as plain arrays: ``Σ_i coefficient_i exp(−γ |x − x_i|²) + offset``."""

    def __init__(self, table: Table, scale: Scale, arrays: Mapping[str, NDArray[Any]]) -> None:
        self._table, self._scale, self.arrays = table, scale, arrays

    def __call__(self, networks: Encoded) -> tuple[Vector, Vector]:
        x, support = self._table.columns(networks), self.arrays["support"]
        squares = (x**2).sum(1)[:, None] + (support**2).sum(1) - 2 * x @ support.T
        values = np.exp(-self.arrays["gamma"] * squares) @ self.arrays["coefficients"] + self.arrays["offset"]
        return self._scale.up(values), np.ones(len(values))


class SvrPredictor(AccuracyPredictor):
    """Scikit-learn's support vector regression with a Gaussian kernel; settings and columns by cross-validation."""

    name: ClassVar[str] = "svr"

    def _fit(self, networks: Encoded, accuracies: Vector) -> HeldOut:
        chosen = spaced(len(accuracies))
        setting, held_out = best_setting(_GRID, self._regress, networks.take(chosen), accuracies[chosen], _FOLDS)
        self.setting_, self.regression_ = setting, self._regress(setting, networks, accuracies)
        return held_out

    def _predict(self, networks: Encoded) -> tuple[Vector, Vector]:
        return self.regression_(networks)

    def _regress(self, setting: _Setting, networks: Encoded, accuracies: Vector) -> _Fitted:
        # Only fitting needs scikit-learn, which takes a second to import.
        from sklearn.svm import SVR  # noqa: PLC0415

        table, scale = Table(self.encoding, INPUTS[setting.inputs], networks), Scale(accuracies)
        x = table.columns(networks)
        gamma = setting.gamma / x.shape[1]
        model = SVR(C=setting.cost, gamma=gamma, epsilon=_EPSILON).fit(x, scale.down(accuracies))
        arrays = {
            "gamma": np.array(gamma),
            "support": model.support_vectors_,
            "coefficients": model.dual_coef_[0],
            "offset": model.intercept_[0],
        }
        return _Fitted(table, scale, {name: np.asarray(array, np.float64) for name, array in arrays.items()})

    def options(self) -> dict[str, Any]:
        """It has none."""
        return {}

    def state(self) -> State:
        """The setting and the support vectors."""
        setting = {f"setting.{name}": np.array(value) for name, value in asdict(self.setting_).items()}
        return {**setting, **self.regression_.arrays}

    def _restore(self, networks: Encoded, accuracies: Vector, state: State) -> None:
        values = (state[f"setting.{name}"] for name in ("inputs", "cost", "gamma"))
        inputs, cost, gamma = (float(value.item()) for value in values)
        self.setting_ = _Setting(int(inputs), cost, gamma)
        table = Table(self.encoding, INPUTS[self.setting_.inputs], networks)
        arrays = {name: state[name] for name in ("gamma", "support", "coefficients", "offset")}
        self.regression_ = _Fitted(table, Scale(accuracies), arrays)
