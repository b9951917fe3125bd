"""Once-for-all's ResNet-50 space (Cai et al. 2020, published with its code), the plain ResNets, and one for 32 px.

Elastic are the resolution, the widths of the stem and of every stage, every stage's depth and every block's expansion;
once-for-all's ResNet-50-D (He et al. 2019, "bag of tricks", figure 2) also has a stem layer that can be skipped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from search_spaces.architecture import Architecture
from search_spaces.builder import NetworkBuilder, make_divisible
from search_spaces.errors import SpaceError
from search_spaces.network import Network
from search_spaces.published import PrintedCount, Publication, register_published
from search_spaces.registry import register_space
from search_spaces.settings import SettingsSpace, check_ascending, check_classes, check_depths, settings_name
from search_spaces.space import Condition, Decision, SearchSpace


@dataclass(frozen=True, slots=True)
class Stage:
    """Bottleneck blocks of one output width; the first of them has the stride. Widths are in channels."""

    widths: tuple[int, ...]
    depths: tuple[int, ...]
    stride: int


@dataclass(frozen=True, slots=True)
class Settings:
    """All that defines a ResNet space.

    Attributes:
        stem: ``plain`` is one 7x7 convolution and a pooling (He et al. 2016); ``deep`` is three 3x3 convolutions, the
            middle one with a shortcut, and a pooling (ResNet-D); ``small`` is one 3x3 convolution without stride.
        pooled_shortcut: shortcuts that change the size average first (ResNet-D); others drop three pixels of four.
        stem_middles: channels inside a deep stem.
        expansions: channels inside a block over those it gives.
    """

    base_name: str
    classes: int
    resolutions: tuple[int, ...]
    stem: Literal["plain", "deep", "small"]
    pooled_shortcut: bool
    stem_middles: tuple[int, ...]
    stem_widths: tuple[int, ...]
    stages: tuple[Stage, ...]
    expansions: tuple[float, ...]


class ResNetSpace(SettingsSpace):
    """Stem, elastic stages of bottleneck blocks, one linear layer."""

    def __init__(self, settings: Settings, default: Settings) -> None:
        _check(settings)
        self.settings = settings
        self._name = settings_name(settings.base_name, settings, default)

    @cached_property
    def decisions(self) -> tuple[Decision, ...]:
        """Resolution, stem, then for every stage its width, its depth and the expansion of each block."""
        settings = self.settings
        decisions = [Decision("resolution", settings.resolutions)]
        if settings.stem == "deep":
            decisions += [Decision("stem.depth", (2, 3)), Decision("stem.middle", settings.stem_middles)]
        decisions.append(Decision("stem.width", settings.stem_widths))
        for s, stage in enumerate(settings.stages):
            depth = f"stages.{s}.depth"
            decisions += [Decision(f"stages.{s}.width", stage.widths), Decision(depth, stage.depths)]
            for b in range(max(stage.depths)):
                deep_enough = frozenset(i for i, blocks in enumerate(stage.depths) if blocks > b)
                condition = None if len(deep_enough) == len(stage.depths) else Condition(depth, deep_enough)
                decisions.append(Decision(f"stages.{s}.blocks.{b}.expansion", settings.expansions, condition))
        return tuple(decisions)

    def lower(self, arch: Architecture) -> Network:
        """The network of one architecture: logits of shape ``(classes,)``."""
        options = self.options_of(arch)
        resolution = int(options["resolution"])
        builder = NetworkBuilder((3, resolution, resolution))
        with builder.block("stem"):
            if self.settings.stem == "deep":
                x = _deep_stem(builder, int(options["stem.middle"]), skip=options["stem.depth"] == 2)
            else:
                x = builder.input
            kernel, stride = (7, 2) if self.settings.stem == "plain" else (3, 1)
            x = builder.conv("conv", x, int(options["stem.width"]), kernel, stride=stride)
            x = builder.activation("activation", x, "relu")
            if self.settings.stem != "small":
                x = builder.pool("pool", x, "max", 3, 2)
        for s, stage in enumerate(self.settings.stages):
            width = int(options[f"stages.{s}.width"])
            for b in range(int(options[f"stages.{s}.depth"])):
                middle = _middle(width, float(options[f"stages.{s}.blocks.{b}.expansion"]))
                with builder.block(f"stages.{s}.blocks.{b}"):
                    x = self._block(builder, x, width, middle, stage.stride if b == 0 else 1, first=b == 0)
        with builder.block("head"):
            x = builder.flatten("flatten", builder.global_pool("pool", x))
            builder.linear("classifier", x, self.settings.classes)
        return builder.build()

    def _block(self, builder: NetworkBuilder, source: str, width: int, middle: int, stride: int, *, first: bool) -> str:
        """Bottleneck block, its stride in the 3x3 convolution; a stage's first block has a convolution as shortcut."""
        shortcut = source
        if first:
            pooled = self.settings.pooled_shortcut and stride > 1
            if pooled:
                shortcut = builder.pool("shortcut_pool", source, "average", stride, stride, cover=True)
            shortcut = builder.conv("shortcut", shortcut, width, stride=1 if pooled else stride)
        x = builder.activation("reduce_activation", builder.conv("reduce", source, middle), "relu")
        x = builder.activation("middle_activation", builder.conv("middle", x, middle, 3, stride=stride), "relu")
        x = builder.add("sum", builder.conv("expand", x, width), shortcut)
        return builder.activation("activation", x, "relu")


def _deep_stem(builder: NetworkBuilder, middle: int, *, skip: bool) -> str:
    x = builder.activation("first_activation", builder.conv("first", builder.input, middle, 3, stride=2), "relu")
    if skip:
        return x
    y = builder.activation("second_activation", builder.conv("second", x, middle, 3), "relu")
    return builder.add("second_sum", y, x)


def _middle(width: int, expansion: float) -> int:
    return make_divisible(round(width * expansion))


def _check(settings: Settings) -> None:
    """Refuse settings that make no network, or that make the same network of two architectures."""
    space = f"space {settings.base_name!r}"
    check_classes(space, settings.classes)
    check_ascending(space, "resolutions", settings.resolutions, whole=True)
    check_ascending(space, "expansions", settings.expansions)
    for stage in settings.stages:
        check_depths(space, stage.depths)
        for width in stage.widths:
            middles = [_middle(width, expansion) for expansion in settings.expansions]
            if len(set(middles)) < len(middles):
                rounded = f"expansions {list(settings.expansions)} of {width} channels round to {middles}"
                raise SpaceError(f"{space}: {rounded}; give values further apart")


def _widths(space: str, channels: int, multipliers: Sequence[float]) -> tuple[int, ...]:
    """Channels under every width multiplier."""
    check_ascending(f"space {space!r}", "widths", multipliers)
    widths = tuple(make_divisible(channels * multiplier) for multiplier in multipliers)
    if len(set(widths)) < len(widths):
        raise SpaceError(f"space {space!r}: widths {list(multipliers)} of {channels} channels round to {widths}")
    return widths


def _stages(space: str, base: int, depths: Sequence[int], multipliers: Sequence[float]) -> tuple[Stage, ...]:
    """Four stages that halve the size from the second on, and are up to two blocks deeper than ``depths``."""
    return tuple(
        Stage(_widths(space, base << s, multipliers), (depth, depth + 1, depth + 2), 2 if s else 1)
        for s, depth in enumerate(depths)
    )


def _resnet50(space: str, stem: Literal["plain", "deep"], multipliers: Sequence[float]) -> Settings:
    stem_widths = _widths(space, 64, multipliers)
    # Two of the three widths that once-for-all has here round to the same number of channels.
    middles = tuple(sorted({make_divisible(width // 2) for width in stem_widths}))
    return Settings(
        base_name=space,
        classes=1000,
        resolutions=tuple(range(128, 225, 16)),
        stem=stem,
        pooled_shortcut=stem == "deep",
        stem_middles=middles,
        stem_widths=stem_widths,
        stages=_stages(space, 256, (2, 2, 4, 2), multipliers),
        expansions=(0.2, 0.25, 0.35),
    )


_MULTIPLIERS = (0.65, 0.8, 1.0)
_OFA = _resnet50("ofa_resnet50", "deep", _MULTIPLIERS)
_PLAIN = _resnet50("resnet", "plain", _MULTIPLIERS)
_SMALL_IMAGES = Settings(
    base_name="resnet_32",
    classes=10,
    resolutions=(16, 20, 24, 28, 32),
    stem="small",
    pooled_shortcut=True,
    stem_middles=(),
    stem_widths=_widths("resnet_32", 32, (0.5, 0.75, 1.0)),
    stages=_stages("resnet_32", 64, (1, 1, 1, 1), (0.5, 0.75, 1.0)),
    expansions=(0.25, 0.5, 1.0),
)


@register_space("ofa_resnet50")
def ofa_resnet50(
    *, classes: int = 1000, resolutions: Sequence[int] = _OFA.resolutions, widths: Sequence[float] = _MULTIPLIERS
) -> ResNetSpace:
    """Once-for-all ResNet-50-D at 128 to 224 px: elastic resolution, stem, widths, depths, expansions."""
    return _space(_resnet50("ofa_resnet50", "deep", widths), _OFA, classes, resolutions)


@register_space("resnet")
def resnet(
    *, classes: int = 1000, resolutions: Sequence[int] = _PLAIN.resolutions, widths: Sequence[float] = _MULTIPLIERS
) -> ResNetSpace:
    """Plain bottleneck ResNets around ResNet-50, elastic as once-for-all's, with the stem and shortcuts of 2016."""
    return _space(_resnet50("resnet", "plain", widths), _PLAIN, classes, resolutions)


@register_space("resnet_32")
def resnet_32(*, classes: int = 10, resolutions: Sequence[int] = _SMALL_IMAGES.resolutions) -> ResNetSpace:
    """Bottleneck ResNets for images of about 32 px: thin, without the stem's strides."""
    return _space(_SMALL_IMAGES, _SMALL_IMAGES, classes, resolutions)


def _space(settings: Settings, default: Settings, classes: int, resolutions: Sequence[int]) -> ResNetSpace:
    return ResNetSpace(replace(settings, classes=classes, resolutions=tuple(resolutions)), default)


@register_published(
    "resnet50",
    Publication(
        # He et al. 2016, table 1, prints 3.8 G for strides in the 1x1 convolutions, where they are no longer put.
        source="torchvision's table of weights for ResNet50 (He et al. 2016, the strides in the 3x3 convolutions)",
        macs=PrintedCount(4.09, 1e9, 2),
        parameters=PrintedCount(25_557_032, 1),
    ),
)
def _published_resnet50() -> tuple[SearchSpace, Architecture]:
    space = ResNetSpace(_PLAIN, _PLAIN)
    return space, _of_depths(space, stem={"stem.width": 64})


@register_published(
    "resnet50_d",
    Publication(
        source='He et al. 2019, "bag of tricks for image classification", table 5',
        macs=PrintedCount(4.3, 1e9, 1),
        parameters=None,
    ),
)
def _published_resnet50_d() -> tuple[SearchSpace, Architecture]:
    space = ResNetSpace(_OFA, _OFA)
    return space, _of_depths(space, stem={"stem.depth": 3, "stem.middle": 32, "stem.width": 64})


def _of_depths(space: ResNetSpace, stem: dict[str, int]) -> Architecture:
    """ResNet-50's depths, widths and expansion at 224 px."""
    options: dict[str, int | float | str] = {"resolution": 224, **stem}
    for s, depth in enumerate((3, 4, 6, 3)):
        options[f"stages.{s}.width"], options[f"stages.{s}.depth"] = 256 << s, depth
        options.update({f"stages.{s}.blocks.{b}.expansion": 0.25 for b in range(depth)})
    return space.from_options(options)
