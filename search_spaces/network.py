"""The project's one representation of a neural network: a small, immutable dataflow graph.

A search space *lowers* an architecture into a ``Network``; everything else (the supernet, the model-file writers, cost,
memory, tables, predictors) is a reader of it. Shapes leave out the batch: ``(channels, height, width)`` for feature
maps, ``(tokens, features)`` for sequences, ``(features,)`` for vectors.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

from search_spaces.errors import SpaceError

Shape: TypeAlias = tuple[int, ...]
ActivationKind: TypeAlias = Literal["relu", "relu6", "hard_swish", "hard_sigmoid", "sigmoid", "swish", "gelu"]


@dataclass(frozen=True, slots=True)
class Input:
    """The network's input; its shape is the node's shape."""


@dataclass(frozen=True, slots=True)
class Conv:
    """2-D convolution with square kernel, and the batch norm folded into it.

    Attributes:
        pads: zeros added at (top, left, bottom, right).
        norm: followed by a batch norm whose parameters are stored under the node's own name.
        bias: has a bias of its own (never together with ``norm``).
    """

    in_channels: int
    out_channels: int
    kernel: int
    stride: int = 1
    groups: int = 1
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    norm: bool = True
    bias: bool = False

    @property
    def depthwise(self) -> bool:
        """Whether every channel is convolved on its own."""
        return self.groups == self.in_channels == self.out_channels and self.groups > 1


@dataclass(frozen=True, slots=True)
class Linear:
    """Matrix product over the last axis, with bias unless told otherwise."""

    in_features: int
    out_features: int
    bias: bool = True


@dataclass(frozen=True, slots=True)
class Activation:
    """Element-wise non-linearity."""

    kind: ActivationKind


@dataclass(frozen=True, slots=True)
class Add:
    """Sum of two inputs of equal shape."""


@dataclass(frozen=True, slots=True)
class Sub:
    """First input minus the second, of equal shape."""


@dataclass(frozen=True, slots=True)
class Mul:
    """Product of two inputs; the second may be broadcast from ``(channels, 1, 1)``."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Product with a learned vector (Touvron et al. 2021, "layer scale"), one entry a channel or feature.

    Attributes:
        features: length of the vector: the first axis of a feature map, the last one of vectors and sequences.
        initial: value before training.
    """

    features: int
    initial: float = 1e-5


@dataclass(frozen=True, slots=True)
class RelativeBias:
    """Sum of attention scores ``(heads, tokens, tokens)`` and a learned bias (LeViT, Graham et al. 2021).

    Tokens lie on a grid, row by row. A head's bias for two tokens depends on how many rows and columns apart they are.
    The learned table has shape ``(heads, height, width)``.
    """

    heads: int
    height: int
    width: int


@dataclass(frozen=True, slots=True)
class Pool:
    """Max or average pooling with square window; average pooling does not count the padding."""

    kind: Literal["max", "average"]
    kernel: int
    stride: int
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class GlobalPool:
    """Mean over height and width: ``(channels, height, width)`` to ``(channels, 1, 1)``."""


@dataclass(frozen=True, slots=True)
class Reshape:
    """New shape (the node's), same elements in row-major order of the channels-first layout."""


@dataclass(frozen=True, slots=True)
class Transpose:
    """Permutation of the axes, batch not counted."""

    axes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class MatMul:
    """Batched matrix product of two inputs, scaled."""

    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Softmax:
    """Softmax over the last axis."""


@dataclass(frozen=True, slots=True)
class Concat:
    """Concatenation along the first axis (channels)."""


@dataclass(frozen=True, slots=True)
class LayerNorm:
    """Layer norm over the last axis, with scale and shift."""

    features: int
    epsilon: float = 1e-5


Operation: TypeAlias = (
    Input
    | Conv
    | Linear
    | Activation
    | Add
    | Sub
    | Mul
    | Scale
    | RelativeBias
    | Pool
    | GlobalPool
    | Reshape
    | Transpose
    | MatMul
    | Softmax
    | Concat
    | LayerNorm
)


@dataclass(frozen=True, slots=True)
class Node:
    """One operation.

    Attributes:
        name: stable dotted name, such as ``stages.2.blocks.1.depthwise``; weights are found by it.
        op: what is computed.
        inputs: names of the nodes it reads.
        shape: shape of its output, batch left out.
        block: name of the block it belongs to, such as ``stages.2.blocks.1``; tables are keyed by blocks.
    """

    name: str
    op: Operation
    inputs: tuple[str, ...]
    shape: Shape
    block: str


@dataclass(frozen=True)
class Network:
    """Nodes in an order in which they can be computed; the first is the input and the last the output.

    Raises:
        SpaceError: a name used twice, or an input that is not an earlier node.
    """

    nodes: tuple[Node, ...]

    def __post_init__(self) -> None:
        """Check that every node reads earlier nodes only."""
        seen: set[str] = set()
        for position, node in enumerate(self.nodes):
            if node.name in seen:
                raise SpaceError(f"node name {node.name!r} is used twice; every node of a network needs its own name")
            if isinstance(node.op, Input) != (position == 0):
                raise SpaceError(f"node {node.name!r}: a network starts with its one input node")
            missing = [name for name in node.inputs if name not in seen]
            if missing:
                raise SpaceError(f"node {node.name!r} reads {missing}, which no earlier node of the network is called")
            seen.add(node.name)

    @property
    def input(self) -> Node:
        """The input node."""
        return self.nodes[0]

    @property
    def output(self) -> Node:
        """The output node."""
        return self.nodes[-1]

    @cached_property
    def by_name(self) -> dict[str, Node]:
        """Every node by its name."""
        return {node.name: node for node in self.nodes}

    @cached_property
    def last_use(self) -> dict[str, int]:
        """Position of the last node that reads each node; the output is used after the end."""
        uses = {name: position for position, node in enumerate(self.nodes) for name in node.inputs}
        uses[self.output.name] = len(self.nodes)
        return uses

    @cached_property
    def folded_scales(self) -> frozenset[str]:
        """Scales that become part of the convolution or linear layer before them when the network is deployed."""
        reads = Counter(name for node in self.nodes for name in node.inputs)
        return frozenset(
            node.name
            for node in self.nodes
            if isinstance(node.op, Scale)
            and node is not self.output
            and isinstance(self.by_name[node.inputs[0]].op, Conv | Linear)
            and reads[node.inputs[0]] == 1
        )

    @cached_property
    def key(self) -> str:
        """Digest of the whole structure: 20 hexadecimal digits, the same in every process."""
        text = "\n".join(f"{n.name} {n.op!r} {n.inputs} {n.shape} {n.block}" for n in self.nodes)
        return hashlib.sha256(text.encode()).hexdigest()[:20]

    @cached_property
    def blocks(self) -> dict[str, tuple[Node, ...]]:
        """Nodes of every block, in order, input left out."""
        groups: dict[str, list[Node]] = {}
        for node in self.nodes[1:]:
            groups.setdefault(node.block, []).append(node)
        return {name: tuple(nodes) for name, nodes in groups.items()}
