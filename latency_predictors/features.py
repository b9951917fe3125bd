"""What a network asks of a device, as numbers: work, traffic and launches, by kind of operation and by resolution.

The vector is generic over every search space: its length and its names do not depend on the network. Most entries are
sums over nodes, and nodes repeat between the networks of a population, so each kind of node is described once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from math import prod

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from latency_predictors.errors import PredictorError
from search_spaces.network import (
    Activation,
    Add,
    Concat,
    Conv,
    GlobalPool,
    LayerNorm,
    Linear,
    MatMul,
    Mul,
    Network,
    Operation,
    Pool,
    RelativeBias,
    Reshape,
    Scale,
    Shape,
    Softmax,
    Sub,
    Transpose,
)

KINDS = (
    "conv",
    "pointwise",
    "depthwise",
    "grouped",
    "vector",
    "matmul",
    "norm",
    "rectifier",
    "activation",
    "elementwise",
    "pool",
    "layout",
)
"""Kinds of node that runtimes treat alike. ``vector``: matrix products on a single position, bound by their weights."""

_MEASURES = ("macs", "elements", "weights", "count")
_KERNELS = (3, 5, 7)
_LEVELS = 6
_LEVEL_MEASURES = ("macs", "elements", "count")
_FUSED = ("relu", "relu6")  # runtimes make them part of the operation before
_KIND_OF: dict[type[Operation], str] = {
    MatMul: "matmul",
    Softmax: "norm",
    LayerNorm: "norm",
    Add: "elementwise",
    Sub: "elementwise",
    Mul: "elementwise",
    Scale: "elementwise",
    RelativeBias: "elementwise",
    Pool: "pool",
    GlobalPool: "pool",
    Reshape: "layout",
    Transpose: "layout",
    Concat: "layout",
}
_TILE = 16  # channels that a vectorised matrix kernel takes at once, about


def _sum_names() -> tuple[str, ...]:
    names = [f"{kind}.{measure}" for kind in KINDS for measure in _MEASURES]
    names += [
        f"depthwise.{measure}.kernel_{k}" for k in (*map(str, _KERNELS), "other") for measure in ("macs", "count")
    ]
    names += [f"level_{level}.{measure}" for level in range(_LEVELS) for measure in _LEVEL_MEASURES]
    return (*names, "tiled_macs", *(f"total.{measure}" for measure in _MEASURES))


SUM_NAMES = _sum_names()
"""Features that are sums over nodes; they come first in a feature vector."""

_POSITION = {name: index for index, name in enumerate(SUM_NAMES)}
_WHOLE = ("input_elements", "largest_node.elements", "largest_node.macs", "depth")


def feature_names() -> tuple[str, ...]:
    """Names of the entries of a feature vector, in order."""
    return SUM_NAMES + _WHOLE


def features_digest() -> str:
    """20 hexadecimal digits that change when the entries do: what was learnt from other features is of no use."""
    return hashlib.sha256("\n".join(feature_names()).encode()).hexdigest()[:20]


def features(network: Network) -> NDArray[np.float64]:
    """Features of one network, shape ``(features,)``; counts and elements for one image, no units of time."""
    return np.asarray(feature_matrix([network])[0], np.float64)


def feature_matrix(networks: Sequence[Network]) -> NDArray[np.float64]:
    """Features of many networks at once, shape ``(networks, features)``.

    Raises:
        PredictorError: no network was given.
    """
    if not networks:
        raise PredictorError("no networks were given; features need at least one")
    table = _NodeTable()
    members: list[int] = []
    starts: list[int] = []
    whole = np.empty((len(networks), len(_WHOLE)))
    for position, network in enumerate(networks):
        rows, depth = table.rows_of(network)
        if not rows:
            raise PredictorError("a network without any operation was given; there is nothing to predict")
        starts.append(len(members))
        members += rows
        whole[position, 0] = prod(network.input.shape)
        whole[position, 3] = depth
    nodes = np.stack(table.rows)
    whole[:, 1] = np.maximum.reduceat(nodes[members, _POSITION["total.elements"]], starts)
    whole[:, 2] = np.maximum.reduceat(nodes[members, _POSITION["total.macs"]], starts)
    bounds = [*starts, len(members)]
    holds = csr_matrix((np.ones(len(members)), members, bounds), shape=(len(networks), len(nodes)))
    return np.concatenate([holds @ nodes, whole], axis=1)


class _NodeTable:
    """Features of every different node of a population, each kept once."""

    def __init__(self) -> None:
        self.rows: list[NDArray[np.float64]] = []
        self._row_of: dict[tuple[object, ...], int] = {}

    def rows_of(self, network: Network) -> tuple[list[int], int]:
        """Rows of all nodes of a network but its input, and the length of its longest path."""
        side = network.input.shape[-1]
        shapes: dict[str, Shape] = {network.input.name: network.input.shape}
        depths: dict[str, int] = {network.input.name: 0}
        found: list[int] = []
        for node in network.nodes[1:]:
            sources = [shapes[name] for name in node.inputs]
            key = (node.op, node.shape, side, *sources)
            row = self._row_of.get(key)
            if row is None:
                row = self._row_of[key] = len(self.rows)
                self.rows.append(node_features(node.op, node.shape, side, *sources))
            found.append(row)
            shapes[node.name] = node.shape
            depths[node.name] = 1 + max([depths[name] for name in node.inputs])
        return found, max(depths.values())


@lru_cache(maxsize=1 << 17)
def node_features(op: Operation, shape: Shape, input_side: int | None, *sources: Shape) -> NDArray[np.float64]:
    """What one node adds to the sums, shape ``(len(SUM_NAMES),)``.

    Args:
        op: the operation.
        shape: shape of its output.
        input_side: height of the network's input; without it the entries of every level are zero.
        sources: shapes of its inputs.
    """
    macs, weights = node_work(op, shape, sources)
    measures = {
        "macs": macs,
        "elements": prod(shape) + sum(prod(source) for source in sources),
        "weights": weights,
        "count": 1,
    }
    row = np.zeros(len(SUM_NAMES))
    kind = node_kind(op, shape)
    for name, value in measures.items():
        row[_POSITION[f"{kind}.{name}"]] = value
        row[_POSITION[f"total.{name}"]] = value
    if kind == "depthwise" and isinstance(op, Conv):
        kernel = str(op.kernel) if op.kernel in _KERNELS else "other"
        row[_POSITION[f"depthwise.macs.kernel_{kernel}"]] = macs
        row[_POSITION[f"depthwise.count.kernel_{kernel}"]] = 1
    if input_side is not None:
        level = _level(input_side, sources[0])
        for name in _LEVEL_MEASURES:
            row[_POSITION[f"level_{level}.{name}"]] = measures[name]
    if kind in ("conv", "pointwise") and isinstance(op, Conv):
        positions, window = prod(shape[1:]), op.kernel**2
        row[_POSITION["tiled_macs"]] = _tiles(op.in_channels * window) * _tiles(op.out_channels) * positions
    row.flags.writeable = False
    return row


def node_work(op: Operation, shape: Shape, sources: Sequence[Shape]) -> tuple[int, int]:  # noqa: PLR0911
    """Multiply-accumulates of a node for one image, and the weights that it reads."""
    match op:
        case Conv():
            per_output = (op.in_channels // op.groups) * op.kernel**2
            return prod(shape) * per_output, op.out_channels * per_output
        case Linear():
            return prod(shape) * op.in_features, op.out_features * op.in_features
        case MatMul():
            return prod(shape) * sources[0][-1], 0
        case LayerNorm():
            return 0, 2 * op.features
        case Scale():
            return 0, op.features
        case RelativeBias():
            return 0, prod(shape)
        case _:
            return 0, 0


def node_kind(op: Operation, shape: Shape) -> str:
    """Which of ``KINDS`` a node is.

    Raises:
        PredictorError: an operation that has no kind.
    """
    if isinstance(op, Conv | Linear):
        return _product_kind(op, shape)
    if isinstance(op, Activation):
        return "rectifier" if op.kind in _FUSED else "activation"
    if type(op) not in _KIND_OF:
        raise PredictorError(f"operation {op!r} has no kind; its kinds are {list(KINDS)}")
    return _KIND_OF[type(op)]


def _product_kind(op: Conv | Linear, shape: Shape) -> str:
    if isinstance(op, Conv) and op.groups > 1:
        return "depthwise" if op.depthwise else "grouped"
    if prod(shape) == shape[0]:
        return "vector"
    return "conv" if isinstance(op, Conv) and op.kernel > 1 else "pointwise"


def _level(input_side: int, source: Shape) -> int:
    """How often the input was halved before this node reads it; vectors and sequences are in the last level."""
    if len(source) != 3 or source[1] <= 1:
        return _LEVELS - 1
    return int(np.clip(round(np.log2(input_side / source[1])), 0, _LEVELS - 2))


def _tiles(channels: int) -> int:
    return -(-channels // _TILE) * _TILE
