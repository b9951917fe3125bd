"""Kinds of block that a stage can be made of, by name: each writes its nodes and returns the name of the last one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from search_spaces.blocks import SqueezeExcite, expanded, inverted_residual
from search_spaces.builder import NetworkBuilder, make_divisible
from search_spaces.network import ActivationKind


@dataclass(frozen=True, slots=True)
class Block:
    """What one block is told.

    Attributes:
        width: output channels.
        kernel: side of its spatial convolutions' windows, odd.
        expansion: inner channels over input channels (over output channels for ``basic`` and ``bottleneck``).
        stride: of its first spatial convolution.
        activation: non-linearity after its inner convolutions.
        squeeze_excite: whether the inner channels are gated.
        projection: whether its input is added even where shapes differ, through a 1×1 convolution.
    """

    width: int
    kernel: int
    expansion: float
    stride: int
    activation: ActivationKind
    squeeze_excite: bool
    projection: bool


@dataclass(frozen=True, slots=True)
class BlockKind:
    """How a kind of block is written, and what its settings mean to it.

    Attributes:
        write: adds the nodes of a block that reads the named node.
        inner: channels inside it, of (input channels, output channels, expansion); None where it has no expansion.
        gates: whether it can have squeeze-and-excite.
        adds: whether its input is added to its output where their shapes agree.
    """

    write: Callable[[NetworkBuilder, str, Block], str]
    inner: Callable[[int, int, float], int] | None
    gates: bool
    adds: bool


def _inverted(builder: NetworkBuilder, source: str, block: Block, *, stacked: bool = False) -> str:
    """MobileNetV2's and V3's block (Sandler et al. 2018, Howard et al. 2019)."""
    middle = expanded(builder.shape(source)[0], block.expansion)
    x = inverted_residual(
        builder,
        source,
        block.width,
        middle=middle,
        kernel=block.kernel,
        stride=block.stride,
        activation=block.activation,
        squeeze_excite=SqueezeExcite(make_divisible(middle // 4)) if block.squeeze_excite else None,
        stacked=stacked,
    )
    is_added = block.stride == 1 and builder.shape(source)[0] == block.width
    return x if is_added else _joined(builder, source, x, block)


def _fused(builder: NetworkBuilder, source: str, block: Block) -> str:
    """EfficientNetV2's block: one full convolution instead of expansion and depthwise (Tan and Le 2021)."""
    in_channels = builder.shape(source)[0]
    inner = _inner_of_input(in_channels, block.width, block.expansion)
    x = builder.conv("fused", source, inner, block.kernel, stride=block.stride)
    x = builder.activation("fused_activation", x, block.activation)
    if block.squeeze_excite:
        x = SqueezeExcite(make_divisible(in_channels // 4)).add(builder, x)
    return _joined(builder, source, builder.conv("project", x, block.width), block)


def _bottleneck(builder: NetworkBuilder, source: str, block: Block) -> str:
    """ResNet's block of three convolutions, stride in the middle one (He et al. 2016); its shortcut always projects."""
    in_channels = builder.shape(source)[0]
    inner = _inner_of_output(in_channels, block.width, block.expansion)
    x = builder.activation("reduce_activation", builder.conv("reduce", source, inner), block.activation)
    x = builder.conv("spatial", x, inner, block.kernel, stride=block.stride)
    x = builder.activation("spatial_activation", x, block.activation)
    if block.squeeze_excite:
        x = SqueezeExcite(make_divisible(in_channels // 4)).add(builder, x)
    x = _joined(builder, source, builder.conv("expand", x, block.width), block, always=True)
    return builder.activation("activation", x, block.activation)


def _basic(builder: NetworkBuilder, source: str, block: Block) -> str:
    """ResNet's block of two full convolutions, stride in the first (He et al. 2016); its shortcut always projects."""
    inner = _inner_of_output(builder.shape(source)[0], block.width, block.expansion)
    x = builder.conv("first", source, inner, block.kernel, stride=block.stride)
    x = builder.activation("first_activation", x, block.activation)
    x = builder.conv("second", x, block.width, block.kernel)
    x = _joined(builder, source, x, block, always=True)
    return builder.activation("activation", x, block.activation)


def _separable(builder: NetworkBuilder, source: str, block: Block) -> str:
    """MobileNetV1's block: depthwise, then pointwise, no shortcut (Howard et al. 2017)."""
    return _depthwise_pointwise(builder, source, "", block.stride, block)


def _double_separable(builder: NetworkBuilder, source: str, block: Block) -> str:
    """Two of MobileNetV1's blocks and a shortcut that always projects (SpaceEvo's "dual" block)."""
    x = _depthwise_pointwise(builder, source, "first_", block.stride, block)
    x = _depthwise_pointwise(builder, x, "second_", 1, block)
    return _joined(builder, source, x, block, always=True)


def _conv(builder: NetworkBuilder, source: str, block: Block) -> str:
    """One convolution, no shortcut."""
    x = builder.conv("conv", source, block.width, block.kernel, stride=block.stride)
    return builder.activation("activation", x, block.activation)


def _depthwise_pointwise(builder: NetworkBuilder, source: str, prefix: str, stride: int, block: Block) -> str:
    x = builder.depthwise(f"{prefix}depthwise", source, block.kernel, stride=stride)
    x = builder.activation(f"{prefix}depthwise_activation", x, block.activation)
    x = builder.conv(f"{prefix}pointwise", x, block.width)
    return builder.activation(f"{prefix}pointwise_activation", x, block.activation)


def _joined(builder: NetworkBuilder, source: str, x: str, block: Block, *, always: bool = False) -> str:
    """Sum of a block's output and its input, where their shapes agree or the block projects its input."""
    if builder.shape(source) != builder.shape(x):
        if not (block.projection or always):
            return x
        source = builder.conv("shortcut", source, block.width, stride=block.stride)
    return builder.add("residual", x, source)


def _inner_of_input(in_channels: int, _width: int, expansion: float) -> int:
    return expanded(in_channels, expansion)


def _inner_of_output(_in_channels: int, width: int, expansion: float) -> int:
    return make_divisible(width * expansion)


BLOCK_KINDS: Mapping[str, BlockKind] = {
    "conv": BlockKind(_conv, None, gates=False, adds=False),
    "separable": BlockKind(_separable, None, gates=False, adds=False),
    "double_separable": BlockKind(_double_separable, None, gates=False, adds=True),
    "inverted_residual": BlockKind(_inverted, _inner_of_input, gates=True, adds=True),
    "stacked_inverted_residual": BlockKind(partial(_inverted, stacked=True), _inner_of_input, gates=True, adds=True),
    "fused_inverted_residual": BlockKind(_fused, _inner_of_input, gates=True, adds=True),
    "basic": BlockKind(_basic, _inner_of_output, gates=False, adds=True),
    "bottleneck": BlockKind(_bottleneck, _inner_of_output, gates=True, adds=True),
}
"""Every kind of block by its name."""
