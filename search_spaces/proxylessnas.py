"""ProxylessNAS's space (Cai et al. 2019, section 4.2): 21 layers of MobileNetV2 blocks.

A block has a kernel of 3, 5 or 7 and an expansion of 3 or 6; a layer that keeps its shape can be skipped. Widths are
fixed during a search; the three published networks have three different sets of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from search_spaces.architecture import Architecture
from search_spaces.blocks import expanded, inverted_residual
from search_spaces.builder import NetworkBuilder, make_divisible
from search_spaces.errors import SpaceError
from search_spaces.layerwise import Layer, LayerStage, LayerwiseSpace, MacroArchitecture
from search_spaces.published import PrintedCount, Publication, register_published
from search_spaces.registry import register_space

SKIP = "skip"
_BLOCKS = tuple(f"k{kernel}_e{expansion}" for expansion in (3, 6) for kernel in (3, 5, 7))
_LAYERS = (4, 4, 4, 4, 4, 1)
_STAGE_WIDTHS = (24, 40, 80, 96, 192, 320)


class ProxylessNASSpace(LayerwiseSpace):
    """Candidates ``kKERNEL_eEXPANSION`` and ``skip``."""

    def candidates(self, layer: Layer) -> tuple[str, ...]:
        """Six blocks; where the shape is kept also ``skip``."""
        return (SKIP, *_BLOCKS) if layer.keeps_shape else _BLOCKS

    def add_candidate(self, builder: NetworkBuilder, layer: Layer, candidate: str, source: str) -> str:
        """A skipped layer has no nodes."""
        if candidate == SKIP:
            return source
        kernel, expansion = int(candidate[1]), int(candidate[-1])
        with builder.block(layer.name):
            return inverted_residual(
                builder,
                source,
                layer.out_channels,
                middle=expanded(layer.in_channels, expansion),
                kernel=kernel,
                stride=layer.stride,
                activation=self.macro.activation,
            )


def _stages(widths: Sequence[int], strides: Sequence[int]) -> tuple[LayerStage, ...]:
    return tuple(LayerStage(*row) for row in zip(widths, _LAYERS, strides, strict=True))


_MACRO = MacroArchitecture(
    base_name="proxylessnas",
    classes=1000,
    resolution=224,
    stem_width=32,
    stem_stride=2,
    first_width=16,
    stages=_stages(_STAGE_WIDTHS, (2, 2, 2, 1, 2, 1)),
    final_width=1280,
    activation="relu6",
)
# Without the first two strides, 32 px end as 4x4 features (224 px end as 7x7).
_SMALL_IMAGES = replace(
    _MACRO,
    base_name="proxylessnas_32",
    classes=10,
    resolution=32,
    stem_stride=1,
    stages=_stages(_STAGE_WIDTHS, (1, 2, 2, 1, 2, 1)),
)


def _scaled(macro: MacroArchitecture, width: float, stage_widths: Sequence[int]) -> MacroArchitecture:
    if not 0 < width < float("inf"):
        raise SpaceError(f"space {macro.base_name!r}: width is {width!r}; give a positive number")
    if len(stage_widths) != len(_LAYERS):
        given = f"stage_widths is {list(stage_widths)}"
        raise SpaceError(f"space {macro.base_name!r}: {given}; give {len(_LAYERS)} widths")
    stages = zip(macro.stages, stage_widths, strict=True)
    return replace(
        macro,
        stem_width=make_divisible(macro.stem_width * width),
        first_width=make_divisible((macro.first_width or 0) * width),
        stages=tuple(replace(stage, width=make_divisible(channels * width)) for stage, channels in stages),
        final_width=make_divisible(macro.final_width * width),
    )


@register_space("proxylessnas")
def proxylessnas(
    *,
    classes: int = 1000,
    resolution: int = 224,
    width: float = 1.0,
    stage_widths: Sequence[int] = _STAGE_WIDTHS,
) -> ProxylessNASSpace:
    """ProxylessNAS at 224 px: 21 layers, each a MobileNetV2 block of some kernel and expansion, or skipped."""
    macro = _scaled(replace(_MACRO, classes=classes, resolution=resolution), width, stage_widths)
    return ProxylessNASSpace(macro, default=_MACRO)


@register_space("proxylessnas_32")
def proxylessnas_32(*, classes: int = 10, resolution: int = 32, width: float = 1.0) -> ProxylessNASSpace:
    """ProxylessNAS for images of about 32 px: the first two strides left out."""
    macro = _scaled(replace(_SMALL_IMAGES, classes=classes, resolution=resolution), width, _STAGE_WIDTHS)
    return ProxylessNASSpace(macro, default=_SMALL_IMAGES)


# Kernel and expansion of every layer, "." where it is skipped: the configurations published beside the paper.
_MOBILE = "53 33 .. .. 73 33 53 53 76 53 53 53 56 53 53 53 76 76 73 73 76"
_GPU = "53 .. .. .. 73 .. .. 33 76 .. .. 53 56 .. 33 53 76 76 76 56 76"
_CPU = "36 33 33 33 36 33 33 53 36 .. .. 33 56 33 33 33 56 53 53 33 56"
_SOURCE = "Cai et al. 2019, {}; sizes from the log of its evaluation in the official repository"


def _architecture(space: ProxylessNASSpace, table: str) -> Architecture:
    return space.with_candidates(tuple(SKIP if row == ".." else f"k{row[0]}_e{row[1]}" for row in table.split()))


@register_published(
    "proxylessnas_mobile",
    Publication(_SOURCE.format("table 2 and figure 4"), PrintedCount(320.4, 1e6, 1), PrintedCount(4.08, 1e6, 2)),
)
def _mobile() -> tuple[ProxylessNASSpace, Architecture]:
    space = proxylessnas(stage_widths=(32, 40, 80, 96, 192, 320))
    return space, _architecture(space, _MOBILE)


@register_published(
    "proxylessnas_gpu",
    Publication(_SOURCE.format("table 3 and figure 4"), PrintedCount(465.3, 1e6, 1), PrintedCount(7.12, 1e6, 2)),
)
def _gpu() -> tuple[ProxylessNASSpace, Architecture]:
    space = proxylessnas(width=1.35)
    return space, _architecture(space, _GPU)


@register_published(
    "proxylessnas_cpu",
    Publication(_SOURCE.format("figure 4"), PrintedCount(439.2, 1e6, 1), PrintedCount(4.36, 1e6, 2)),
)
def _cpu() -> tuple[ProxylessNASSpace, Architecture]:
    space = proxylessnas(width=1.12)
    return space, _architecture(space, _CPU)
