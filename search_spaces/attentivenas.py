"""AttentiveNAS's space (Wang et al. 2021), after BigNAS's (Yu et al. 2020), and a variant for 32-px images.

Elastic are the resolution, the channels of every layer, and every stage's depth, kernel and expansion, each shared by
the stage's blocks. Where a block's input and output differ, the shortcut averages and convolves; it is never left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from search_spaces.architecture import Architecture
from search_spaces.blocks import SqueezeExcite, expanded, inverted_residual
from search_spaces.builder import NetworkBuilder, make_divisible
from search_spaces.network import Network
from search_spaces.published import PrintedCount, Publication, register_published
from search_spaces.registry import register_space
from search_spaces.settings import SettingsSpace, check_ascending, check_classes, settings_name
from search_spaces.space import Decision, SearchSpace


@dataclass(frozen=True, slots=True)
class Stage:
    """Options of one stage; its first block has the stride. Widths are in channels."""

    widths: tuple[int, ...]
    depths: tuple[int, ...]
    expansions: tuple[int, ...]
    stride: int
    squeeze_excite: bool
    kernels: tuple[int, ...] = (3, 5)


@dataclass(frozen=True, slots=True)
class Settings:
    """All that defines a space of this family; every activation is a swish."""

    base_name: str
    classes: int
    resolutions: tuple[int, ...]
    stem_widths: tuple[int, ...]
    stem_stride: int
    stages: tuple[Stage, ...]
    head_expansion: int
    feature_widths: tuple[int, ...]


class AttentiveNASSpace(SettingsSpace):
    """Stem, elastic stages of inverted residual blocks, MobileNetV3's head."""

    def __init__(self, settings: Settings, default: Settings) -> None:
        _check(settings)
        self.settings = settings
        self._name = settings_name(settings.base_name, settings, default)

    @cached_property
    def decisions(self) -> tuple[Decision, ...]:
        """Resolution, stem width, then width, depth, kernel and expansion of every stage, and the features' width."""
        decisions = [
            Decision("resolution", self.settings.resolutions),
            Decision("stem.width", self.settings.stem_widths),
        ]
        for s, stage in enumerate(self.settings.stages):
            decisions += [
                Decision(f"stages.{s}.width", stage.widths),
                Decision(f"stages.{s}.depth", stage.depths),
                Decision(f"stages.{s}.kernel", stage.kernels),
                Decision(f"stages.{s}.expansion", stage.expansions),
            ]
        return (*decisions, Decision("head.width", self.settings.feature_widths))

    def lower(self, arch: Architecture) -> Network:
        """The network of one architecture: logits of shape ``(classes,)``."""
        options = {name: int(option) for name, option in self.options_of(arch).items()}
        builder = NetworkBuilder((3, options["resolution"], options["resolution"]))
        with builder.block("stem"):
            x = builder.conv("conv", builder.input, options["stem.width"], 3, stride=self.settings.stem_stride)
            x = builder.activation("activation", x, "swish")
        for s, stage in enumerate(self.settings.stages):
            for b in range(options[f"stages.{s}.depth"]):
                with builder.block(f"stages.{s}.blocks.{b}"):
                    x = _block(
                        builder,
                        x,
                        options[f"stages.{s}.width"],
                        kernel=options[f"stages.{s}.kernel"],
                        expansion=options[f"stages.{s}.expansion"],
                        stride=stage.stride if b == 0 else 1,
                        squeeze_excite=stage.squeeze_excite,
                    )
        with builder.block("head"):
            x = builder.conv("expand", x, builder.shape(x)[0] * self.settings.head_expansion)
            x = builder.activation("expand_activation", x, "swish")
            x = builder.global_pool("pool", x)
            x = builder.conv("features", x, options["head.width"], norm=False)
            x = builder.activation("features_activation", x, "swish")
            builder.linear("classifier", builder.flatten("flatten", x), self.settings.classes)
        return builder.build()


def _block(
    builder: NetworkBuilder,
    source: str,
    width: int,
    *,
    kernel: int,
    expansion: int,
    stride: int,
    squeeze_excite: bool,
) -> str:
    """Inverted residual block with a shortcut in every case; it has neither norm nor activation."""
    middle = expanded(builder.shape(source)[0], expansion)
    x = inverted_residual(
        builder,
        source,
        width,
        middle=middle,
        kernel=kernel,
        stride=stride,
        activation="swish",
        squeeze_excite=SqueezeExcite(make_divisible(middle // 4)) if squeeze_excite else None,
    )
    changes_width = builder.shape(source)[0] != width
    if stride == 1 and not changes_width:
        return x
    if stride > 1:
        source = builder.pool("shortcut_pool", source, "average", stride, stride)
    if changes_width:
        source = builder.conv("shortcut", source, width, norm=False)
    return builder.add("sum", x, source)


def _check(settings: Settings) -> None:
    """Refuse settings that make no network, or sizes that a shortcut's pooling cannot halve."""
    space, strides = f"space {settings.base_name!r}", settings.stem_stride
    for stage in settings.stages:
        strides *= stage.stride
    check_classes(space, settings.classes)
    check_ascending(space, "resolutions", settings.resolutions, whole=True, multiple=strides)


_PAPER = Settings(
    base_name="attentivenas",
    classes=1000,
    resolutions=(192, 224, 256, 288),
    stem_widths=(16, 24),
    stem_stride=2,
    stages=(
        Stage((16, 24), (1, 2), (1,), 1, squeeze_excite=False),
        Stage((24, 32), (3, 4, 5), (4, 5, 6), 2, squeeze_excite=False),
        Stage((32, 40), (3, 4, 5, 6), (4, 5, 6), 2, squeeze_excite=True),
        Stage((64, 72), (3, 4, 5, 6), (4, 5, 6), 2, squeeze_excite=False),
        Stage((112, 120, 128), (3, 4, 5, 6, 7, 8), (4, 5, 6), 1, squeeze_excite=True),
        Stage((192, 200, 208, 216), (3, 4, 5, 6, 7, 8), (6,), 2, squeeze_excite=True),
        Stage((216, 224), (1, 2), (6,), 1, squeeze_excite=True),
    ),
    head_expansion=6,
    feature_widths=(1792, 1984),
)

_SMALL_IMAGES = Settings(
    base_name="attentivenas_32",
    classes=10,
    resolutions=(16, 20, 24, 28, 32),
    stem_widths=(16, 24),
    stem_stride=1,
    stages=(
        Stage((16, 24), (1, 2), (1,), 1, squeeze_excite=False),
        Stage((24, 32), (1, 2, 3), (2, 3, 4), 2, squeeze_excite=False),
        Stage((40, 48), (1, 2, 3), (2, 3, 4), 1, squeeze_excite=True),
        Stage((64, 72, 80), (1, 2, 3), (2, 3, 4), 2, squeeze_excite=True),
        Stage((96, 104, 112), (1, 2, 3), (3, 4), 1, squeeze_excite=True),
    ),
    head_expansion=4,
    feature_widths=(480, 640),
)


@register_space("attentivenas")
def attentivenas(*, classes: int = 1000, resolutions: Sequence[int] = _PAPER.resolutions) -> AttentiveNASSpace:
    """AttentiveNAS at 192 to 288 px: elastic resolution, channels, depth, kernel, expansion of every stage."""
    return AttentiveNASSpace(replace(_PAPER, classes=classes, resolutions=tuple(resolutions)), _PAPER)


@register_space("attentivenas_32")
def attentivenas_32(*, classes: int = 10, resolutions: Sequence[int] = _SMALL_IMAGES.resolutions) -> AttentiveNASSpace:
    """AttentiveNAS for images of about 32 px: fewer strides and blocks, the same elastic dimensions."""
    return AttentiveNASSpace(replace(_SMALL_IMAGES, classes=classes, resolutions=tuple(resolutions)), _SMALL_IMAGES)


# AttentiveNAS-A0 to A6: millions of MACs, resolution, widths from stem to features, kernels, expansions, depths.
_MODELS: tuple[tuple[int, int, tuple[int, ...], str, str, str], ...] = (
    (203, 192, (16, 16, 24, 32, 64, 112, 192, 216, 1792), "3333333", "1444466", "1333331"),
    (279, 224, (16, 16, 24, 32, 64, 112, 192, 216, 1984), "3335353", "1444466", "1333331"),
    (317, 224, (16, 16, 24, 32, 64, 112, 200, 224, 1984), "3333353", "1454466", "1333341"),
    (357, 224, (16, 16, 24, 32, 64, 112, 208, 224, 1984), "3335333", "1444466", "2334351"),
    (444, 256, (16, 16, 24, 32, 64, 112, 192, 216, 1984), "3335353", "1445466", "1334351"),
    (491, 256, (16, 16, 24, 32, 72, 112, 192, 216, 1792), "3335333", "1454466", "1333461"),
    (709, 288, (16, 16, 24, 32, 64, 112, 216, 224, 1984), "3333353", "1465466", "1334461"),
)


def _published(index: int) -> tuple[SearchSpace, Architecture]:
    _, resolution, widths, kernels, expansions, depths = _MODELS[index]
    stem, *stages, features = widths
    options: dict[str, int | float | str] = {"resolution": resolution, "stem.width": stem, "head.width": features}
    for s, width in enumerate(stages):
        options[f"stages.{s}.width"], options[f"stages.{s}.depth"] = width, int(depths[s])
        options[f"stages.{s}.kernel"], options[f"stages.{s}.expansion"] = int(kernels[s]), int(expansions[s])
    space = attentivenas()
    return space, space.from_options(options)


def _register(index: int) -> None:
    source = "Wang et al. 2021, AttentiveNAS: the table and the configurations published with its code"
    publication = Publication(source, macs=PrintedCount(_MODELS[index][0], 1e6), parameters=None)
    register_published(f"attentivenas_a{index}", publication)(lambda: _published(index))


for _index in range(len(_MODELS)):
    _register(_index)
