"""What every operation of a ``Network`` computes in PyTorch, weights given."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from search_spaces.network import (
    Activation,
    ActivationKind,
    Add,
    Concat,
    Conv,
    GlobalPool,
    LayerNorm,
    Linear,
    MatMul,
    Mul,
    Node,
    Pool,
    RelativeBias,
    Reshape,
    Scale,
    Softmax,
    Sub,
    Transpose,
)
from supernet.depthwise import depthwise_conv
from supernet.errors import SupernetError

NORM_EPSILON = 1e-5

NormStatistics: TypeAlias = Mapping[str, tuple[Tensor, Tensor]]
"""Mean and variance, each of shape (channels,), of every batch norm of one network, by node name."""


def convolve(op: Conv, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Convolution of ``x`` (batch, in, height, width); the batch norm is the caller's."""
    top, left, bottom, right = op.pads
    if (top, left) != (bottom, right):
        return F.conv2d(F.pad(x, (left, right, top, bottom)), weight, bias, op.stride, 0, 1, op.groups)
    if op.depthwise and bias is None and top == left == op.kernel // 2:
        return depthwise_conv(x, weight, op.stride)
    return F.conv2d(x, weight, bias, op.stride, (top, left), 1, op.groups)


ACTIVATIONS: Mapping[ActivationKind, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "relu6": F.relu6,
    "hard_swish": F.hardswish,
    "hard_sigmoid": F.hardsigmoid,
    "sigmoid": torch.sigmoid,
    "swish": F.silu,
    "gelu": F.gelu,
}


def compute(  # noqa: PLR0911, PLR0912 (one case per operation is what makes an interpreter readable)
    node: Node, inputs: Sequence[Tensor], weight: Tensor | None = None, bias: Tensor | None = None
) -> Tensor:
    """Output of any node but the input and batch-normalised convolutions; tensors carry a leading batch axis."""
    x = inputs[0]
    match node.op:
        case Conv() as op if weight is not None:
            return convolve(op, x, weight, bias)
        case Linear() if weight is not None:
            return F.linear(x, weight, bias)
        case LayerNorm() as op:
            return F.layer_norm(x, (op.features,), weight, bias, op.epsilon)
        case Activation(kind):
            return ACTIVATIONS[kind](x)
        case Add():
            return x + inputs[1]
        case Sub():
            return x - inputs[1]
        case Mul():
            return x * inputs[1]
        case Scale() if weight is not None:
            return x * (weight.view(-1, 1, 1) if x.dim() == 4 else weight)
        case RelativeBias() if weight is not None:
            return x + pairwise_bias(weight)
        case GlobalPool():
            return _global_mean(x)
        case Pool() as op:
            return _pool(op, x)
        case Reshape():
            return x.reshape(x.shape[0], *node.shape)
        case Transpose(axes):
            return x.permute(0, *(axis + 1 for axis in axes))
        case MatMul(scale):
            return (x @ inputs[1]) * scale
        case Softmax():
            return x.softmax(-1)
        case Concat():
            return torch.cat(list(inputs), 1)
        case _:
            raise SupernetError(f"node {node.name!r}: {type(node.op).__name__} cannot be computed without weights")


def pairwise_bias(table: Tensor) -> Tensor:
    """The bias of every pair of tokens on a grid.

    Args:
        table: biases by distance ``(heads, height, width)``: so many rows and so many columns apart.

    Returns:
        ``(heads, height * width, height * width)``.
    """
    heads, height, width = table.shape
    rows, columns = (
        (position[:, None] - position).abs()
        for position in (torch.arange(size, device=table.device) for size in (height, width))
    )
    pairs = table[:, rows[:, None, :, None], columns[None, :, None, :]]
    return pairs.reshape(heads, height * width, height * width)


def _global_mean(x: Tensor) -> Tensor:
    # As a sum: the gradient of ``mean`` is divided after it was spread over the image, many times as slow.
    return (x.sum((2, 3), keepdim=True, dtype=torch.float32) / (x.shape[2] * x.shape[3])).to(x.dtype)


def _pool(op: Pool, x: Tensor) -> Tensor:
    top, left, bottom, right = op.pads
    if op.kind == "max":
        padded = F.pad(x, (left, right, top, bottom), value=float("-inf"))
        return F.max_pool2d(padded, op.kernel, op.stride)
    if (top, left) != (bottom, right):
        counted = F.pad(torch.ones_like(x[:1, :1]), (left, right, top, bottom))
        sums = F.avg_pool2d(F.pad(x, (left, right, top, bottom)), op.kernel, op.stride)
        return sums / F.avg_pool2d(counted, op.kernel, op.stride)
    return F.avg_pool2d(x, op.kernel, op.stride, (top, left), count_include_pad=False)
