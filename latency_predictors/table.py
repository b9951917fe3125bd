"""Look-up table of block latencies (the idea of Cai et al. 2019, ProxylessNAS), learnt from whole networks.

Published tables come from measuring every block on its own: thousands of measurements, and sums that miss what a
runtime does across blocks. Here a few dozen whole networks are measured, and the table is what explains them. Most
blocks are then seen once or never, so each starts from the cost that the physical model gives it and moves only as far
as the measurements ask (ridge regression towards a prior; its strength comes from the leave-one-out error).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from latency_predictors.blocks import block_keys, block_sums
from latency_predictors.cost import block_cost, fit_cost, predict_cost, trust
from latency_predictors.cost_model import smallest_prediction
from latency_predictors.errors import PredictorError
from latency_predictors.features import feature_matrix
from latency_predictors.predictor import LatencyPredictor
from search_spaces.network import Network

_STRENGTHS = np.logspace(-4, 4, 33)


class BlockTablePredictor(LatencyPredictor):
    """Latency = a constant + the sum of its blocks, each looked up by its physical identity.

    A block that no measured network had gets the cost that the physical model gives it.

    Attributes:
        latency_s_: seconds of every block seen, by block key.
        weights_: the physical model, as in ``cost.fit_cost``; its constant is the table's.
        floor_s_: smallest latency ever predicted, in seconds.
    """

    name: ClassVar[str] = "block_table"

    def coverage(self, networks: Sequence[Network]) -> float:
        """Share of the networks' blocks that are in the table, 0..1; the others get the physical model's cost.

        Raises:
            PredictorError: no network was given.
        """
        keys = [key for network in networks for key in block_keys(network)]
        if not keys:
            raise PredictorError("no networks were given; coverage needs at least one")
        return sum(key in self.latency_s_ for key in keys) / len(keys)

    def _fit(self, networks: Sequence[Network], latencies_s: NDArray[np.float64]) -> None:
        keys, counts, sums = count_blocks(networks)
        self.weights_, seconds = learn_blocks(feature_matrix(networks), counts, sums, latencies_s)
        self.floor_s_ = smallest_prediction(latencies_s)
        self.latency_s_ = dict(zip(keys, seconds.tolist(), strict=True))

    def _predict(self, networks: Sequence[Network]) -> NDArray[np.float64]:
        keys, counts, sums = count_blocks(networks)
        unseen = block_cost(sums, self.weights_)
        seconds = np.array([self.latency_s_.get(key, cost) for key, cost in zip(keys, unseen.tolist(), strict=True)])
        return np.asarray(np.maximum(counts @ seconds + self.weights_[-1], self.floor_s_), np.float64)

    def options(self) -> dict[str, Any]:
        """There are none."""
        return {}

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """The table and the physical model."""
        table = np.array(list(self.latency_s_.values()), np.float64)
        return {"weights": self.weights_, "latency_s": table}, {
            "floor_s": self.floor_s_,
            "keys": list(self.latency_s_),
        }

    def restore(self, arrays: Mapping[str, NDArray[Any]], values: Mapping[str, Any]) -> None:
        """Take over what ``state`` gave."""
        self.weights_ = arrays["weights"]
        self.floor_s_ = float(values["floor_s"])
        self.latency_s_ = dict(zip(values["keys"], arrays["latency_s"].tolist(), strict=True))


def learn_blocks(
    matrix: NDArray[np.float64],
    counts: NDArray[np.float64],
    sums: NDArray[np.float64],
    latencies_s: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The physical model and the seconds of every block, from measured networks.

    Args:
        matrix: features of the measured networks, shape ``(networks, features)``.
        counts: how often each has each block, shape ``(networks, blocks)``; a block that none has keeps the cost that
            the physical model gives it.
        sums: what each block adds to the features that are sums, shape ``(blocks, len(features.SUM_NAMES))``.
        latencies_s: of the networks in seconds, shape ``(networks,)``.

    Returns:
        Weights as ``cost.fit_cost`` gives them, and seconds of shape ``(blocks,)``.
    """
    weights = fit_cost(matrix, latencies_s)
    seconds, seen = block_cost(sums, weights), counts.any(axis=0)
    # A block that the physical model thinks is free could never move: it starts from a thousandth of the fastest.
    prior = np.maximum(seconds[seen], 1e-3 * latencies_s.min())
    rows = np.sqrt(trust(predict_cost(matrix, weights), latencies_s)) / latencies_s
    factors = shrunk_factors(counts[:, seen] * prior * rows[:, None], (latencies_s - weights[-1]) * rows)
    seconds[seen] = prior * factors
    return weights, seconds


def count_blocks(networks: Sequence[Network]) -> tuple[list[str], NDArray[np.float64], NDArray[np.float64]]:
    """Which blocks networks have.

    Returns:
        Keys of all blocks; how often each network has each, shape ``(networks, blocks)``; and what each block adds to
        the features that are sums, shape ``(blocks, len(features.SUM_NAMES))``.
    """
    column: dict[str, int] = {}
    sums: list[NDArray[np.float64]] = []
    rows: list[int] = []
    columns: list[int] = []
    for row, network in enumerate(networks):
        for key, block in block_sums(network):
            if key not in column:
                column[key] = len(sums)
                sums.append(block)
            rows.append(row)
            columns.append(column[key])
    counts = np.zeros((len(networks), len(sums)))
    np.add.at(counts, (rows, columns), 1.0)
    return list(column), counts, np.stack(sums)


def shrunk_factors(share: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Non-negative factors ``u`` with ``share @ u`` near ``target``, no further from 1 than the data ask.

    Ridge regression on ``u - 1``, solved in the space of the networks, which are fewer than the blocks. Blocks that
    come out negative are held at zero and the rest solved again.

    Args:
        share: shape ``(networks, blocks)``.
        target: shape ``(networks,)``.

    Returns:
        Shape ``(blocks,)``.
    """
    strength = _strength(share, target - share.sum(axis=1))
    free = np.ones(share.shape[1], bool)
    while True:
        part = share[:, free]
        gram = part @ part.T + strength * np.eye(len(part))
        factors = np.zeros(len(free))
        factors[free] = 1 + part.T @ np.linalg.solve(gram, target - part.sum(axis=1))
        if (factors >= 0).all():
            return factors
        free &= factors > 0


def _strength(share: NDArray[np.float64], residual: NDArray[np.float64]) -> float:
    """Strength of the ridge with the least leave-one-out error."""
    values, vectors = np.linalg.eigh(share @ share.T)
    rotated = vectors.T @ residual
    errors = []
    for strength in _STRENGTHS:
        shrink = strength / (values + strength)
        left_out = (vectors @ (shrink * rotated)) / (vectors**2 @ shrink)
        errors.append(float((left_out**2).mean()))
    return float(_STRENGTHS[int(np.argmin(errors))])
