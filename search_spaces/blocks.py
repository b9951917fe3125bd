"""Blocks that several spaces are built of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from search_spaces.builder import NetworkBuilder, make_divisible
from search_spaces.network import ActivationKind

Shortcut: TypeAlias = Literal["identity", "pool", "none"]


@dataclass(frozen=True, slots=True)
class SqueezeExcite:
    """Channel attention (Hu et al. 2018): pool, reduce to ``width`` channels, expand, gate.

    Attributes:
        width: channels between the two layers.
        gate: non-linearity of the gate: hard sigmoid in MobileNetV3, sigmoid in MnasNet.
    """

    width: int
    gate: ActivationKind = "hard_sigmoid"

    def add(self, builder: NetworkBuilder, source: str) -> str:
        """The source's channels, each multiplied by its gate."""
        gate = builder.global_pool("se_pool", source)
        gate = builder.conv("se_reduce", gate, self.width, norm=False, bias=True)
        gate = builder.activation("se_reduce_activation", gate, "relu")
        gate = builder.conv("se_expand", gate, builder.shape(source)[0], norm=False, bias=True)
        gate = builder.activation("se_gate", gate, self.gate)
        return builder.mul("se_scale", source, gate)


def expanded(channels: int, expansion: float) -> int:
    """Channels between the first and the last layer of an inverted residual block."""
    return channels if expansion == 1 else make_divisible(round(channels * expansion))


def inverted_residual(
    builder: NetworkBuilder,
    source: str,
    out_channels: int,
    *,
    middle: int,
    kernel: int,
    stride: int,
    activation: ActivationKind,
    squeeze_excite: SqueezeExcite | None = None,
    shortcut: Shortcut = "identity",
    always_expand: bool = False,
    stacked: bool = False,
) -> str:
    """Expand, depthwise, squeeze-and-excite, project (Sandler et al. 2018, section 3.3; Howard et al. 2019, figure 4).

    Where ``middle`` is the number of channels read, there is no expansion, unless told otherwise: what is left is a
    depthwise separable convolution. Stacked, the depthwise convolution is one of 3x3 after another, which see as far as
    one of the kernel's size.
    """
    in_channels = builder.shape(source)[0]
    x = source
    if always_expand or middle != in_channels:
        x = builder.conv("expand", x, middle)
        x = builder.activation("expand_activation", x, activation)
    if stacked:
        x = _stacked_depthwise(builder, x, kernel, stride)
    else:
        x = builder.depthwise("depthwise", x, kernel, stride=stride)
    x = builder.activation("depthwise_activation", x, activation)
    if squeeze_excite is not None:
        x = squeeze_excite.add(builder, x)
    x = builder.conv("project", x, out_channels)
    return add_shortcut(builder, x, source, shortcut)


def _stacked_depthwise(builder: NetworkBuilder, source: str, kernel: int, stride: int) -> str:
    """As many 3x3 depthwise convolutions as see ``kernel`` pixels across; one batch norm after the last."""
    channels, last = builder.shape(source)[0], kernel // 2 - 1
    x = source
    for index in range(last + 1):
        step = stride if index == 0 else 1
        x = builder.conv(f"depthwise_{index}", x, channels, 3, stride=step, groups=channels, norm=index == last)
    return x


def add_shortcut(builder: NetworkBuilder, output: str, source: str, kind: Shortcut = "identity") -> str:
    """``output`` plus ``source``, or plus its mean over 3x3 windows; nothing is added where the shapes differ."""
    if kind == "none" or builder.shape(output) != builder.shape(source):
        return output
    path = builder.pool("shortcut_pool", source, "average", 3, 1) if kind == "pool" else source
    return builder.add("residual", output, path)


def channel_shuffle(builder: NetworkBuilder, name: str, source: str, groups: int) -> str:
    """Channels in an order in which every later group reads from every earlier one (Zhang et al. 2018, ShuffleNet)."""
    channels, height, width = builder.shape(source)
    x = builder.reshape(f"{name}_split", source, (groups, channels // groups, height, width))
    x = builder.transpose(f"{name}_swap", x, (1, 0, 2, 3))
    return builder.reshape(f"{name}_join", x, (channels, height, width))


def pooled_classifier(
    builder: NetworkBuilder, source: str, width: int, classes: int, activation: ActivationKind
) -> str:
    """The head of MobileNetV2 and its heirs: 1x1 convolution, mean over the image, linear layer."""
    with builder.block("head"):
        x = builder.conv("expand", source, width)
        x = builder.activation("expand_activation", x, activation)
        x = builder.flatten("flatten", builder.global_pool("pool", x))
        return builder.linear("classifier", x, classes)
