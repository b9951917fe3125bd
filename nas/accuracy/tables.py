"""Plain tables of features, for learners that know nothing of groups."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from nas.accuracy.encoding import Encoded, Encoding
from nas.accuracy.left_out import Model, cross_predicted
from nas.accuracy.scores import HeldOut
from nas.accuracy.views import log_counts, mean_counts

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]

Inputs: TypeAlias = Literal["one_hot", "physical", "both"]
INPUTS: tuple[Inputs, ...] = get_args(Inputs)

Setting = TypeVar("Setting")


class Table:
    """Columns of zero mean and unit variance over the training networks; those that do not vary are left out.

    Args:
        encoding: tells options from ranks.
        inputs: which columns.
        train: networks that fix means and variances.
    """

    def __init__(self, encoding: Encoding, inputs: Inputs, train: Encoded) -> None:
        self.inputs = inputs
        self._one_hot, self._work = encoding.one_hot, mean_counts(train)
        raw = self._raw(train)
        self._kept = np.ptp(raw, axis=0) > 1e-12
        self._mean, self._deviation = raw[:, self._kept].mean(axis=0), raw[:, self._kept].std(axis=0)

    def columns(self, networks: Encoded) -> Matrix:
        """Scaled columns, shape ``(networks, columns)``."""
        return np.asarray((self._raw(networks)[:, self._kept] - self._mean) / self._deviation, np.float64)

    def _raw(self, networks: Encoded) -> Matrix:
        options, counts = networks.options[:, self._one_hot], log_counts(networks.physical, self._work)
        chosen = {"one_hot": [options], "physical": [counts], "both": [options, counts]}[self.inputs]
        return np.concatenate(chosen, axis=1)


def best_setting(
    settings: Sequence[Setting],
    fit: Callable[[Setting, Encoded, Vector], Model],
    networks: Encoded,
    accuracies: Vector,
    folds: int,
) -> tuple[Setting, HeldOut]:
    """The setting with the least squared error on networks left out, and its predictions for them.

    Args:
        settings: one or more.
        fit: makes a model with a setting.
        networks: training networks.
        accuracies: their accuracies, shape ``(networks,)``.
        folds: of the cross-validation.
    """
    found = []
    for setting in settings:

        def make(part: Encoded, values: Vector, setting: Setting = setting) -> Model:
            return fit(setting, part, values)

        held_out = cross_predicted(make, networks, accuracies, folds)
        found.append((float(((held_out.predicted - accuracies) ** 2).mean()), setting, held_out))
    _, setting, held_out = min(found, key=lambda entry: entry[0])
    return setting, held_out
