"""FBNet's space (Wu et al. 2019, tables 1 and 2): 22 layers, each one of nine candidate blocks.

A candidate ``kKERNEL_eEXPANSION`` is a MobileNetV2 block that has its first 1x1 convolution also where it expands
nothing. ``_g2`` groups its 1x1 convolutions in two and shuffles the
channels between the first of them and the depthwise one. ``skip`` passes its input on; where a layer changes the shape
it is a 1x1 convolution with the layer's stride, as in the authors' code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from search_spaces.architecture import Architecture
from search_spaces.blocks import add_shortcut, channel_shuffle, expanded, inverted_residual
from search_spaces.builder import NetworkBuilder
from search_spaces.layerwise import Layer, LayerStage, LayerwiseSpace, MacroArchitecture
from search_spaces.network import ActivationKind
from search_spaces.published import Difference, PrintedCount, Publication, register_published
from search_spaces.registry import register_space

SKIP = "skip"
BLOCKS = ("k3_e1", "k3_e1_g2", "k3_e3", "k3_e6", "k5_e1", "k5_e1_g2", "k5_e3", "k5_e6")


class FBNetSpace(LayerwiseSpace):
    """Candidates ``kKERNEL_eEXPANSION``, two of them grouped, and ``skip``."""

    def candidates(self, layer: Layer) -> tuple[str, ...]:
        """All nine, in the order of their size, which depends on whether the layer keeps its shape."""
        return tuple(sorted((SKIP, *BLOCKS), key=lambda candidate: _weights(layer, candidate)))

    def add_candidate(self, builder: NetworkBuilder, layer: Layer, candidate: str, source: str) -> str:
        """Blocks of different kinds have different names, so that they do not share weights."""
        activation = self.macro.activation
        if candidate == SKIP:
            if layer.keeps_shape:
                return source
            with builder.block(f"{layer.name}.skip"):
                x = builder.conv("conv", source, layer.out_channels, stride=layer.stride)
                return builder.activation("activation", x, activation)
        kernel, expansion = int(candidate[1]), int(candidate[4])
        if candidate.endswith("_g2"):
            with builder.block(f"{layer.name}.grouped"):
                return _grouped(builder, source, layer, kernel, activation)
        with builder.block(layer.name):
            return inverted_residual(
                builder,
                source,
                layer.out_channels,
                middle=expanded(layer.in_channels, expansion),
                kernel=kernel,
                stride=layer.stride,
                activation=activation,
                always_expand=True,
            )


def _grouped(builder: NetworkBuilder, source: str, layer: Layer, kernel: int, activation: ActivationKind) -> str:
    """Figure 3 of the paper with two groups."""
    x = builder.conv("expand", source, layer.in_channels, groups=2)
    x = builder.activation("expand_activation", x, activation)
    x = channel_shuffle(builder, "shuffle", x, 2)
    x = builder.depthwise("depthwise", x, kernel, stride=layer.stride)
    x = builder.activation("depthwise_activation", x, activation)
    return add_shortcut(builder, builder.conv("project", x, layer.out_channels, groups=2), source)


def _weights(layer: Layer, candidate: str) -> int:
    """Parameters of a candidate, its batch norms' included."""
    if candidate == SKIP:
        return 0 if layer.keeps_shape else layer.out_channels * (layer.in_channels + 2)
    kernel, expansion = int(candidate[1]), int(candidate[4])
    groups = 2 if candidate.endswith("_g2") else 1
    middle = expanded(layer.in_channels, expansion)
    per_channel = layer.in_channels // groups + kernel**2 + layer.out_channels // groups + 4
    return middle * per_channel + 2 * layer.out_channels


def _stages(strides: Sequence[int]) -> tuple[LayerStage, ...]:
    shapes = ((16, 1), (24, 4), (32, 4), (64, 4), (112, 4), (184, 4), (352, 1))
    return tuple(LayerStage(*shape, stride) for shape, stride in zip(shapes, strides, strict=True))


_MACRO = MacroArchitecture(
    base_name="fbnet",
    classes=1000,
    resolution=224,
    stem_width=16,
    stem_stride=2,
    first_width=None,
    stages=_stages((1, 2, 2, 2, 1, 2, 1)),
    final_width=1984,
    activation="relu",
)
# The form for CIFAR of HW-NAS-Bench (Li et al. 2021): without the first two strides, and with 1504 channels at the end.
_SMALL_IMAGES = replace(
    _MACRO,
    base_name="fbnet_32",
    classes=10,
    resolution=32,
    stem_stride=1,
    stages=_stages((1, 1, 2, 2, 1, 2, 1)),
    final_width=1504,
)


@register_space("fbnet")
def fbnet(*, classes: int = 1000, resolution: int = 224, final_width: int = 1984) -> FBNetSpace:
    """FBNet at 224 px: 22 layers, each one of nine blocks (kernel, expansion, grouped with shuffle, skipped)."""
    macro = replace(_MACRO, classes=classes, resolution=resolution, final_width=final_width)
    return FBNetSpace(macro, default=_MACRO)


@register_space("fbnet_32")
def fbnet_32(*, classes: int = 10, resolution: int = 32, final_width: int = 1504) -> FBNetSpace:
    """FBNet for images of about 32 px, as HW-NAS-Bench shapes it: the first two strides left out."""
    macro = replace(_SMALL_IMAGES, classes=classes, resolution=resolution, final_width=final_width)
    return FBNetSpace(macro, default=_SMALL_IMAGES)


# Kernel and expansion of every layer, "g" where it is grouped and ".." where it is skipped: figure 4 of the paper as
# the released network definitions have it.
_A = ".. 33 31 .. .. 56 33 51 33 56 53 3g 56 36 3g 53 3g 56 56 53 56 56"
_B = "31 36 51 31 31 56 53 36 56 56 51 .. 53 56 31 51 53 56 51 56 56 36"
_C = "31 36 .. 31 31 56 53 56 36 56 53 56 56 56 56 56 53 56 56 56 56 36"

_SOURCE = "Wu et al. 2019, figure 4; sizes from the official repository's table of released models ({})"


def _member(table: str, final_width: int) -> tuple[FBNetSpace, Architecture]:
    space = fbnet(final_width=final_width)
    names = {"..": SKIP, "3g": "k3_e1_g2"}
    candidates = tuple(names.get(row, f"k{row[0]}_e{row[1]}") for row in table.split())
    return space, space.with_candidates(candidates)


def _folded(channels: int) -> Difference:
    reason = "the table counts them folded into their convolutions: one bias a channel, not a scale and a shift"
    return Difference("batch norms", reason, parameters=-channels)


def _separated(layer: str, channels: int, side: int) -> Difference:
    """Two 3x3 convolutions with a batch norm each where the space has one of 5x5."""
    weights = (2 * 3**2 - 5**2) * channels
    reason = "the released network has two 3x3 depthwise layers here, which table 2 of the paper does not offer"
    return Difference(f"{layer}.depthwise", reason, macs=weights * side**2, parameters=weights + 2 * channels)


@register_published(
    "fbnet_a",
    Publication(
        _SOURCE.format("the paper prints 249 M and 4.3 M too"),
        PrintedCount(249.4, 1e6, 1),
        PrintedCount(4.3, 1e6, 1),
        (_folded(16992),),
    ),
)
def _a() -> tuple[FBNetSpace, Architecture]:
    return _member(_A, 1504)


@register_published(
    "fbnet_b",
    Publication(
        _SOURCE.format("the paper prints 295 M and 4.5 M"),
        PrintedCount(295.6, 1e6, 1),
        PrintedCount(4.8, 1e6, 1),
        (_separated("stages.2.blocks.3", 192, 28), _folded(16896)),
    ),
)
def _b() -> tuple[FBNetSpace, Architecture]:
    return _member(_B, 1984)


@register_published(
    "fbnet_c",
    Publication(
        _SOURCE.format("the paper prints 375 M and 5.5 M"),
        PrintedCount(383.0, 1e6, 1),
        PrintedCount(5.5, 1e6, 1),
        (_separated("stages.2.blocks.2", 192, 28), _separated("stages.4.blocks.1", 672, 14), _folded(23048)),
    ),
)
def _c() -> tuple[FBNetSpace, Architecture]:
    return _member(_C, 1984)
