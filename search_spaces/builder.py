"""Writes a ``Network`` node by node, inferring shapes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from math import prod

from search_spaces.errors import SpaceError
from search_spaces.network import (
    Activation,
    ActivationKind,
    Add,
    Concat,
    Conv,
    GlobalPool,
    Input,
    LayerNorm,
    Linear,
    MatMul,
    Mul,
    Network,
    Node,
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


class NetworkBuilder:
    """Adds nodes one after another; every method returns the new node's name for the next one to read."""

    def __init__(self, input_shape: Shape) -> None:
        self._nodes: list[Node] = [Node("input", Input(), (), input_shape, "input")]
        self._shapes: dict[str, Shape] = {"input": input_shape}
        self._block = "input"

    @property
    def input(self) -> str:
        """Name of the input node."""
        return self._nodes[0].name

    def shape(self, name: str) -> Shape:
        """Shape of a node written before, batch left out."""
        return self._shapes[name]

    @contextmanager
    def block(self, name: str) -> Iterator[None]:
        """Nodes added inside belong to this block, and their names start with its name."""
        outer, self._block = self._block, name
        yield
        self._block = outer

    def build(self) -> Network:
        """The finished network; its output is the node added last."""
        return Network(tuple(self._nodes))

    def conv(
        self,
        name: str,
        source: str,
        out_channels: int,
        kernel: int = 1,
        *,
        stride: int = 1,
        groups: int = 1,
        norm: bool = True,
        bias: bool = False,
    ) -> str:
        """Convolution padded by ``kernel // 2`` on every side."""
        in_channels, height, width = self._feature_map(name, source)
        if in_channels % groups or out_channels % groups:
            raise SpaceError(
                f"conv {name!r}: {in_channels} and {out_channels} channels do not split in {groups} groups"
            )
        pad = kernel // 2
        op = Conv(in_channels, out_channels, kernel, stride, groups, (pad, pad, pad, pad), norm, bias)
        shape = (out_channels, _windows(height, kernel, stride, 2 * pad), _windows(width, kernel, stride, 2 * pad))
        return self._add(name, op, (source,), shape)

    def depthwise(self, name: str, source: str, kernel: int, *, stride: int = 1) -> str:
        """Depthwise convolution followed by batch norm."""
        channels = self._feature_map(name, source)[0]
        return self.conv(name, source, channels, kernel, stride=stride, groups=channels)

    def linear(self, name: str, source: str, out_features: int, *, bias: bool = True) -> str:
        """Matrix product over the last axis."""
        *outer, features = self.shape(source)
        return self._add(name, Linear(features, out_features, bias), (source,), (*outer, out_features))

    def activation(self, name: str, source: str, kind: ActivationKind) -> str:
        """Element-wise non-linearity."""
        return self._add(name, Activation(kind), (source,), self.shape(source))

    def add(self, name: str, left: str, right: str) -> str:
        """Sum of two nodes of equal shape."""
        return self._add(name, Add(), (left, right), self._same_shape(name, left, right))

    def sub(self, name: str, left: str, right: str) -> str:
        """The left node minus the right one, of equal shape."""
        return self._add(name, Sub(), (left, right), self._same_shape(name, left, right))

    def mul(self, name: str, left: str, right: str) -> str:
        """Product of two nodes; the right one may be broadcast over height and width."""
        wide, narrow = self.shape(left), self.shape(right)
        if narrow not in (wide, (wide[0], 1, 1)):
            raise SpaceError(
                f"mul {name!r}: cannot multiply {wide} by {narrow}; give the same shape or (channels, 1, 1)"
            )
        return self._add(name, Mul(), (left, right), wide)

    def scale(self, name: str, source: str, *, initial: float = 1e-5) -> str:
        """Product with a learned vector over the channels of a feature map, or the last axis of anything else."""
        shape = self.shape(source)
        return self._add(name, Scale(shape[0] if len(shape) == 3 else shape[-1], initial), (source,), shape)

    def relative_bias(self, name: str, source: str, grid: tuple[int, int]) -> str:
        """Attention scores of ``(height, width)`` tokens plus a learned bias for every distance."""
        shape, (height, width) = self.shape(source), grid
        if len(shape) != 3 or shape[1:] != (height * width, height * width):
            raise SpaceError(
                f"relative bias {name!r}: scores of shape {shape} are not those of {height}x{width} tokens"
            )
        return self._add(name, RelativeBias(shape[0], height, width), (source,), shape)

    def pool(self, name: str, source: str, kind: str, kernel: int, stride: int, *, cover: bool = False) -> str:
        """Max or average pooling padded by ``(kernel - 1) // 2`` on every side.

        With ``cover``, padded as much more at the bottom and the right as it takes for windows to reach every element.
        """
        if kind not in ("max", "average"):
            raise SpaceError(f"pool {name!r}: kind is {kind!r}; allowed: 'max', 'average'")
        channels, height, width = self._feature_map(name, source)
        pad = (kernel - 1) // 2
        bottom, right = (pad + cover * (-(size + 2 * pad - kernel) % stride) for size in (height, width))
        op = Pool("max" if kind == "max" else "average", kernel, stride, (pad, pad, bottom, right))
        rows, columns = (_windows(height, kernel, stride, pad + bottom), _windows(width, kernel, stride, pad + right))
        return self._add(name, op, (source,), (channels, rows, columns))

    def global_pool(self, name: str, source: str) -> str:
        """Mean over height and width."""
        return self._add(name, GlobalPool(), (source,), (self._feature_map(name, source)[0], 1, 1))

    def reshape(self, name: str, source: str, shape: Shape) -> str:
        """Same elements, new shape."""
        if prod(shape) != prod(self.shape(source)):
            raise SpaceError(f"reshape {name!r}: {self.shape(source)} does not have as many elements as {shape}")
        return self._add(name, Reshape(), (source,), shape)

    def flatten(self, name: str, source: str) -> str:
        """All elements as one vector."""
        return self.reshape(name, source, (prod(self.shape(source)),))

    def transpose(self, name: str, source: str, axes: tuple[int, ...]) -> str:
        """Permuted axes, batch not counted."""
        shape = self.shape(source)
        if sorted(axes) != list(range(len(shape))):
            raise SpaceError(f"transpose {name!r}: axes {axes} are no permutation of the {len(shape)} axes of {shape}")
        return self._add(name, Transpose(axes), (source,), tuple(shape[axis] for axis in axes))

    def matmul(self, name: str, left: str, right: str, *, scale: float = 1.0) -> str:
        """Batched matrix product: ``(..., n, k)`` by ``(..., k, m)``."""
        a, b = self.shape(left), self.shape(right)
        if len(a) < 2 or len(a) != len(b) or a[:-2] != b[:-2] or a[-1] != b[-2]:
            raise SpaceError(f"matmul {name!r}: cannot multiply {a} by {b}")
        return self._add(name, MatMul(scale), (left, right), (*a[:-1], b[-1]))

    def softmax(self, name: str, source: str) -> str:
        """Softmax over the last axis."""
        return self._add(name, Softmax(), (source,), self.shape(source))

    def concat(self, name: str, sources: tuple[str, ...]) -> str:
        """Concatenation along the first axis."""
        shapes = [self.shape(source) for source in sources]
        if len({shape[1:] for shape in shapes}) != 1:
            raise SpaceError(f"concat {name!r}: shapes {shapes} differ beyond their first axis")
        return self._add(name, Concat(), sources, (sum(shape[0] for shape in shapes), *shapes[0][1:]))

    def layer_norm(self, name: str, source: str) -> str:
        """Layer norm over the last axis."""
        return self._add(name, LayerNorm(self.shape(source)[-1]), (source,), self.shape(source))

    def _same_shape(self, name: str, left: str, right: str) -> Shape:
        if self.shape(left) != self.shape(right):
            raise SpaceError(f"node {name!r}: shapes {self.shape(left)} and {self.shape(right)} differ")
        return self.shape(left)

    def _feature_map(self, name: str, source: str) -> tuple[int, int, int]:
        shape = self.shape(source)
        if len(shape) != 3:
            raise SpaceError(
                f"node {name!r} needs a feature map (channels, height, width); {source!r} has shape {shape}"
            )
        return shape[0], shape[1], shape[2]

    def _add(self, name: str, op: Operation, inputs: tuple[str, ...], shape: Shape) -> str:
        if min(shape) < 1:
            raise SpaceError(f"node {name!r} would have shape {shape}; use a larger resolution or smaller strides")
        full = f"{self._block}.{name}"
        self._nodes.append(Node(full, op, inputs, shape, self._block))
        self._shapes[full] = shape
        return full


def _windows(size: int, kernel: int, stride: int, padding: int) -> int:
    return (size + padding - kernel) // stride + 1


def make_divisible(channels: float, divisor: int = 8) -> int:
    """Nearest multiple of ``divisor``, never more than 10 % below (MobileNetV2's rounding rule)."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded
