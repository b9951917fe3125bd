"""MCUNet's spaces for microcontrollers (Lin et al. 2020, section 3.1; Lin et al. 2021), and a variant for 32-px images.

ProxylessNAS's stages of MobileNetV2 blocks without the layer before the classifier, which would hold most of the
weights of a network this small. The paper first chooses one pair of resolution and width multiplier by the distribution
of MACs that fit the memory, then trains a supernet for it; here both are elastic, and ``resolutions`` and ``widths``
take the space down to one pair.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from search_spaces.architecture import Architecture
from search_spaces.published import PrintedCount, Publication, register_published
from search_spaces.registry import register_space
from search_spaces.space import Option, SearchSpace
from search_spaces.staged import StagedSpace
from search_spaces.staged_settings import Head, Settings, Stage, Stem

_BLOCK = ("inverted_residual",)
_KERNELS = (3, 5, 7)
_EXPANSIONS = (3, 4, 6)


def _stages(
    first: int,
    rows: Sequence[tuple[int, int]],
    last: int,
    *,
    depths: Sequence[int],
    kernels: Sequence[int],
    expansions: Sequence[float],
) -> tuple[Stage, ...]:
    """One block without expansion, elastic stages of (width, stride), and one elastic block."""

    def elastic(width: int, stride: int, depths: Sequence[int]) -> Stage:
        return Stage(
            _BLOCK, (width,), tuple(depths), tuple(kernels), tuple(expansions), stride=stride, activation="relu6"
        )

    start = Stage(_BLOCK, (first,), expansions=(1,), activation="relu6")
    return (start, *(elastic(width, stride, depths) for width, stride in rows), elastic(last, 1, (1,)))


_ROWS = ((24, 2), (40, 2), (80, 2), (96, 1), (192, 2))
_MCUNET = Settings(
    base_name="mcunet",
    classes=1000,
    resolutions=tuple(range(48, 225, 16)),
    width_multipliers=(0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
    stem=Stem((32,), 2, "relu6"),
    stages=_stages(16, _ROWS, 320, depths=(2, 3, 4), kernels=_KERNELS, expansions=_EXPANSIONS),
    head=Head(),
)


@register_space("mcunet")
def mcunet(
    *,
    classes: int = 1000,
    resolutions: Sequence[int] = _MCUNET.resolutions,
    widths: Sequence[float] = _MCUNET.width_multipliers,
    kernels: Sequence[int] = _KERNELS,
    expansions: Sequence[float] = _EXPANSIONS,
    depths: Sequence[int] = (2, 3, 4),
) -> StagedSpace:
    """MCUNet at 48 to 224 px and 0.2 to 1.0 of its width: elastic depth, kernel and expansion, no mixing layer."""
    settings = replace(
        _MCUNET,
        classes=classes,
        resolutions=tuple(resolutions),
        width_multipliers=tuple(widths),
        stages=_stages(16, _ROWS, 320, depths=depths, kernels=kernels, expansions=expansions),
    )
    return StagedSpace(settings, default=_MCUNET)


_ROWS_32 = ((24, 1), (40, 2), (80, 2), (96, 1))
_MCUNET_32 = Settings(
    base_name="mcunet_32",
    classes=10,
    resolutions=(16, 20, 24, 28, 32),
    width_multipliers=(0.3, 0.5, 0.7, 1.0),
    stem=Stem((16,), 1, "relu6"),
    stages=_stages(16, _ROWS_32, 160, depths=(1, 2, 3), kernels=_KERNELS, expansions=_EXPANSIONS),
    head=Head(),
)


@register_space("mcunet_32")
def mcunet_32(
    *,
    classes: int = 10,
    resolutions: Sequence[int] = _MCUNET_32.resolutions,
    widths: Sequence[float] = _MCUNET_32.width_multipliers,
    kernels: Sequence[int] = _KERNELS,
    expansions: Sequence[float] = _EXPANSIONS,
    depths: Sequence[int] = (1, 2, 3),
) -> StagedSpace:
    """MCUNet for images of about 32 px: fewer strides and narrower, the same elastic dimensions."""
    settings = replace(
        _MCUNET_32,
        classes=classes,
        resolutions=tuple(resolutions),
        width_multipliers=tuple(widths),
        stages=_stages(16, _ROWS_32, 160, depths=depths, kernels=kernels, expansions=expansions),
    )
    return StagedSpace(settings, default=_MCUNET_32)


def _register_network(
    name: str, size: tuple[int, float], blocks: tuple[str, str], printed: tuple[float, float]
) -> None:
    """Register a network of the authors' release, whose search used expansions of 5 too.

    Args:
        name: what it is called here.
        size: resolution and width multiplier.
        blocks: kernels and expansions, one group of digits for each stage after the first block.
        printed: millions of MACs and of parameters.
    """
    counts = PrintedCount(printed[0], 1e6, 1), PrintedCount(printed[1], 1e6, 2)

    @register_published(name, Publication("Lin et al. 2020; sizes as in the authors' model list", *counts))
    def _network() -> tuple[SearchSpace, Architecture]:
        space = mcunet(expansions=(3, 4, 5, 6))
        options: dict[str, Option] = {"resolution": size[0], "width": size[1]}
        for s, (ks, es) in enumerate(zip(*(groups.split() for groups in blocks), strict=True), start=1):
            if s <= len(_ROWS):
                options[f"stages.{s}.depth"] = len(ks)
            for b, (kernel, expansion) in enumerate(zip(ks, es, strict=True)):
                options[f"stages.{s}.blocks.{b}.kernel"] = int(kernel)
                options[f"stages.{s}.blocks.{b}.expansion"] = int(expansion)
        return space, space.from_options(options)


_register_network("mcunet_10fps", (48, 0.6), ("533 755 75 353 35 3", "434 545 54 545 64 6"), (6.4, 0.75))
_register_network("mcunet_5fps", (96, 0.5), ("33 73 37 533 755 3", "43 35 54 434 544 6"), (12.8, 0.64))
_register_network("mcunet_256kb", (160, 0.5), ("5735 375 75 353 5553 5", "3655 566 45 554 6434 5"), (67.3, 0.73))
_register_network("mcunet_320kb", (176, 0.5), ("7375 555 375 573 373 7", "3554 555 564 555 654 5"), (81.8, 0.74))
_register_network("mcunet_512kb", (160, 1.0), ("735 737 737 355 775 5", "354 544 333 433 433 4"), (125.9, 1.73))
