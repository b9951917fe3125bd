"""Predictors that learn from a plain table; cross-validation chooses its columns and the learner's settings."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from nas.accuracy.encoding import Encoded
from nas.accuracy.left_out import spaced
from nas.accuracy.predictor import AccuracyPredictor, Scale
from nas.accuracy.scores import HeldOut
from nas.accuracy.tables import INPUTS, Table, best_setting

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]
Arrays: TypeAlias = Mapping[str, NDArray[Any]]

_FOLDS = 3


class TableSetting(Protocol):
    """What cross-validation chooses."""

    @property
    def inputs(self) -> int:
        """Which columns: a position in ``INPUTS``."""
        ...


Setting = TypeVar("Setting", bound=TableSetting)


class TableModel:
    """What was learnt, as plain arrays.

    Args:
        table: the columns it was learnt from.
        scale: of the accuracies.
        arrays: what was learnt.
        values: scaled accuracies, shape ``(networks,)``, for columns ``(networks, columns)`` and these arrays.
    """

    def __init__(self, table: Table, scale: Scale, arrays: Arrays, values: Callable[[Matrix, Arrays], Vector]) -> None:
        self.table, self.arrays = table, arrays
        self._scale, self._values = scale, values

    def __call__(self, networks: Encoded) -> tuple[Vector, Vector]:
        """Predictions and their spread, which is the same for all; each of shape ``(networks,)``."""
        values = self._values(self.table.columns(networks), self.arrays)
        return self._scale.up(values), np.ones(len(values))


class TablePredictor(AccuracyPredictor, Generic[Setting]):
    """A subclass says which settings there are, how one learns, and what was learnt predicts.

    Attributes:
        setting_: what cross-validation chose.
        model_: what was learnt with it.
    """

    settings: Sequence[Setting]

    @abstractmethod
    def _learn(self, setting: Setting, columns: Matrix, target: Vector) -> Arrays:
        """Learn scaled accuracies from columns, shapes ``(networks,)`` and ``(networks, columns)``."""

    @staticmethod
    @abstractmethod
    def _values(columns: Matrix, arrays: Arrays) -> Vector:
        """Scaled accuracies, shape ``(networks,)``, by what ``_learn`` gave."""

    def _fit(self, networks: Encoded, accuracies: Vector) -> HeldOut:
        chosen = spaced(len(accuracies))
        found = best_setting(self.settings, self._model, networks.take(chosen), accuracies[chosen], _FOLDS)
        self.setting_, held_out = found
        self.model_ = self._model(self.setting_, networks, accuracies)
        return held_out

    def _predict(self, networks: Encoded) -> tuple[Vector, Vector]:
        return self.model_(networks)

    def _model(self, setting: Setting, networks: Encoded, accuracies: Vector) -> TableModel:
        table, scale = Table(self.encoding, INPUTS[setting.inputs], networks), Scale(accuracies)
        arrays = self._learn(setting, table.columns(networks), scale.down(accuracies))
        return TableModel(table, scale, arrays, self._values)

    def _take_over(self, inputs: int, networks: Encoded, accuracies: Vector, arrays: Arrays) -> None:
        """Have the model that these arrays were learnt as."""
        table = Table(self.encoding, INPUTS[inputs], networks)
        self.model_ = TableModel(table, Scale(accuracies), arrays, self._values)
