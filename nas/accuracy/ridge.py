"""Ridge regression on options and pairs of options."""

from __future__ import annotations

from itertools import product
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nas.accuracy.encoding import Encoded
from nas.accuracy.left_out import spaced
from nas.accuracy.predictor import AccuracyPredictor, Scale, State
from nas.accuracy.scores import HeldOut
from nas.accuracy.tables import Table

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]

_PENALTIES = np.logspace(-3, 3, 19)
_PAIRS = (0.0, 0.1, 0.3, 1.0)
_COUNTS = (0.0, 0.3, 1.0)


class RidgePredictor(AccuracyPredictor):
    """Ridge regression on one-hot options, their pairs and physical counts; penalties by leave-one-out error.

    In its dual form: with ``s`` decisions taken alike, two architectures have ``s (s − 1) / 2`` pairs of options in
    common, so none of the thousands of pairs is ever written down. Leave-one-out errors have a closed form (Allen 1974,
    PRESS).
    """

    name: ClassVar[str] = "ridge"

    def _fit(self, networks: Encoded, accuracies: Vector) -> HeldOut:
        self._prepare(networks, accuracies)
        chosen = spaced(len(accuracies))
        part, target = networks.take(chosen), self._scale.down(accuracies)[chosen]
        best = np.inf
        for pairs, counts in product(_PAIRS, _COUNTS):
            values, vectors = np.linalg.eigh(_centred(self._products(part, part, pairs, counts)))
            for penalty in _PENALTIES:
                shrunk = values / (values + penalty)
                leverage = vectors**2 @ shrunk + 1 / len(target)
                left_out = target - (target - target.mean() - vectors @ (shrunk * (vectors.T @ target))) / (
                    1 - leverage
                )
                error = float(((left_out - target) ** 2).mean())
                if error < best:
                    best, self.penalties_ = error, np.array([pairs, counts, penalty])
                    held_out = HeldOut(self._scale.up(left_out), np.ones(len(target)), accuracies[chosen])
        self._solve(networks, accuracies)
        return held_out

    def _predict(self, networks: Encoded) -> tuple[Vector, Vector]:
        products = self._products(networks, self._train, *self.penalties_[:2])
        values = (products - self._mean_products) @ self._alpha + self._offset
        return self._scale.up(values), np.ones(len(values))

    def options(self) -> dict[str, Any]:
        """It has none."""
        return {}

    def state(self) -> State:
        """Weight of the pairs, weight of the counts, and the penalty."""
        return {"penalties": self.penalties_}

    def _restore(self, networks: Encoded, accuracies: Vector, state: State) -> None:
        self._prepare(networks, accuracies)
        self.penalties_ = state["penalties"]
        self._solve(networks, accuracies)

    def _prepare(self, networks: Encoded, accuracies: Vector) -> None:
        self._scale, self._train = Scale(accuracies), networks
        self._counts = Table(self.encoding, "physical", networks)

    def _solve(self, networks: Encoded, accuracies: Vector) -> None:
        pairs, counts, penalty = self.penalties_
        target = self._scale.down(accuracies)
        products = self._products(networks, networks, pairs, counts)
        system = _centred(products) + penalty * np.eye(len(target))
        # Centred on both sides, so that the offset is not penalised.
        solved = np.linalg.solve(system, target - target.mean())
        self._alpha = solved - solved.mean()
        self._mean_products, self._offset = products.mean(axis=0), float(target.mean())

    def _products(self, left: Encoded, right: Encoded, pairs: float, counts: float) -> Matrix:
        """Inner products of all columns, each kind in the scale of one decision."""
        one_hot = self.encoding.one_hot
        alike = left.options[:, one_hot] @ right.options[:, one_hot].T
        products = alike + pairs * alike * (alike - 1) / (2 * len(self.space.decisions))
        if counts:
            columns = self._counts.columns(right)
            products = products + counts * self._counts.columns(left) @ columns.T / columns.shape[1]
        return np.asarray(products, np.float64)


def _centred(products: Matrix) -> Matrix:
    """Inner products of columns whose means are taken off."""
    rows = products - products.mean(axis=0)
    return np.asarray(rows - rows.mean(axis=1, keepdims=True), np.float64)
