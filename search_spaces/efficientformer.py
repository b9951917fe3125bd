"""EfficientFormer's space (Li et al. 2022, section 4), and a variant for 32-px images.

Every stage has 4D blocks, on feature maps, whose tokens are mixed by pooling; the last one ends with 3D blocks, on
sequences, whose tokens are mixed by attention. Elastic are every stage's width and depth and the number of 3D blocks.
The paper's search allows 3D blocks in the third stage too, and chooses none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from search_spaces.architecture import Architecture
from search_spaces.builder import NetworkBuilder
from search_spaces.network import Network
from search_spaces.published import Difference, PrintedCount, Publication, register_published
from search_spaces.registry import register_space
from search_spaces.settings import SettingsSpace, check_ascending, check_classes, settings_name
from search_spaces.space import Decision, SearchSpace

HEADS, KEY_FEATURES, VALUE_FEATURES, MLP_RATIO = 8, 32, 128, 4


@dataclass(frozen=True, slots=True)
class Stage:
    """Options of one stage; the convolution before it has the stride. Widths are in channels, depths in 4D blocks."""

    widths: tuple[int, ...]
    depths: tuple[int, ...]
    stride: int = 2


@dataclass(frozen=True, slots=True)
class Settings:
    """All that defines a space of this family; the stem's second convolution gives the first stage's width."""

    base_name: str
    classes: int
    resolutions: tuple[int, ...]
    stem_strides: tuple[int, int]
    stages: tuple[Stage, ...]
    attention_depths: tuple[int, ...]


class EfficientFormerSpace(SettingsSpace):
    """Stem, elastic stages of 4D blocks joined by convolutions, 3D blocks, layer norm and one linear layer."""

    def __init__(self, settings: Settings, default: Settings) -> None:
        _check(settings)
        self.settings = settings
        self._name = settings_name(settings.base_name, settings, default)

    @cached_property
    def decisions(self) -> tuple[Decision, ...]:
        """Resolution, then every stage's width and number of 4D blocks, and the number of 3D blocks."""
        decisions = [Decision("resolution", self.settings.resolutions)]
        for s, stage in enumerate(self.settings.stages):
            decisions += [Decision(f"stages.{s}.width", stage.widths), Decision(f"stages.{s}.depth", stage.depths)]
        return (*decisions, Decision("attention.depth", self.settings.attention_depths))

    def lower(self, arch: Architecture) -> Network:
        """The network of one architecture: logits of shape ``(classes,)``."""
        options = {name: int(option) for name, option in self.options_of(arch).items()}
        builder = NetworkBuilder((3, options["resolution"], options["resolution"]))
        x = builder.input
        for s, stage in enumerate(self.settings.stages):
            width = options[f"stages.{s}.width"]
            with builder.block(f"stages.{s}.embedding"):
                if s == 0:
                    x = _stem(builder, x, width, self.settings.stem_strides)
                else:
                    x = builder.conv("conv", x, width, 3, stride=stage.stride)
            for b in range(options[f"stages.{s}.depth"]):
                with builder.block(f"stages.{s}.blocks.{b}"):
                    x = _pooling_block(builder, x)
        width, rows, columns = builder.shape(x)
        with builder.block("tokens"):
            x = builder.transpose("rows", builder.reshape("flat", x, (width, rows * columns)), (1, 0))
        for b in range(options["attention.depth"]):
            with builder.block(f"attention.{b}"):
                x = _attention_block(builder, x, (rows, columns))
        with builder.block("head"):
            x = builder.transpose("columns", builder.layer_norm("norm", x), (1, 0))
            x = builder.global_pool("pool", builder.reshape("map", x, (width, rows, columns)))
            builder.linear("classifier", builder.flatten("flatten", x), self.settings.classes)
        return builder.build()


def _stem(builder: NetworkBuilder, source: str, width: int, strides: tuple[int, int]) -> str:
    x = builder.activation("first_activation", builder.conv("first", source, width // 2, 3, stride=strides[0]), "relu")
    return builder.activation("second_activation", builder.conv("second", x, width, 3, stride=strides[1]), "relu")


def _pooling_block(builder: NetworkBuilder, source: str) -> str:
    """Meta-block of four dimensions: x + s (pool(x) - x), then two pointwise convolutions."""
    width = builder.shape(source)[0]
    mixed = builder.sub("mixed", builder.pool("pool", source, "average", 3, 1), source)
    x = builder.add("mixed_sum", source, builder.scale("mixed_scale", mixed))
    y = builder.activation("expand_activation", builder.conv("expand", x, MLP_RATIO * width), "gelu")
    y = builder.scale("project_scale", builder.conv("project", y, width))
    return builder.add("sum", x, y)


def _attention_block(builder: NetworkBuilder, source: str, grid: tuple[int, int]) -> str:
    """Meta-block of three dimensions: attention with a bias for distances, then two layers."""
    width = builder.shape(source)[1]
    mixed = _attention(builder, builder.layer_norm("norm", source), grid)
    x = builder.add("mixed_sum", source, builder.scale("mixed_scale", mixed))
    y = builder.linear("expand", builder.layer_norm("expand_norm", x), MLP_RATIO * width)
    y = builder.linear("project", builder.activation("expand_activation", y, "gelu"), width)
    return builder.add("sum", x, builder.scale("project_scale", y))


def _attention(builder: NetworkBuilder, source: str, grid: tuple[int, int]) -> str:
    tokens, width = builder.shape(source)

    def heads(name: str, features: int, axes: tuple[int, int, int]) -> str:
        x = builder.linear(name, source, HEADS * features)
        return builder.transpose(f"{name}_heads", builder.reshape(f"{name}_split", x, (tokens, HEADS, features)), axes)

    query, value = heads("query", KEY_FEATURES, (1, 0, 2)), heads("value", VALUE_FEATURES, (1, 0, 2))
    scores = builder.matmul("scores", query, heads("key", KEY_FEATURES, (1, 2, 0)), scale=KEY_FEATURES**-0.5)
    scores = builder.softmax("softmax", builder.relative_bias("distances", scores, grid))
    x = builder.transpose("joined", builder.matmul("mixture", scores, value), (1, 0, 2))
    return builder.linear("out", builder.reshape("rows", x, (tokens, HEADS * VALUE_FEATURES)), width)


def _check(settings: Settings) -> None:
    """Refuse settings that make no network."""
    space = f"space {settings.base_name!r}"
    check_classes(space, settings.classes)
    check_ascending(space, "resolutions", settings.resolutions, whole=True)


_PAPER = Settings(
    base_name="efficientformer",
    classes=1000,
    resolutions=(224,),
    stem_strides=(2, 2),
    stages=(
        Stage((48, 64, 80, 96), (2, 3, 4, 5, 6)),
        Stage((96, 128, 160, 192), (2, 3, 4, 5, 6)),
        Stage((224, 272, 320, 384), (6, 8, 10, 12, 15, 18)),
        Stage((448, 512, 640, 768), (0, 1, 2, 3)),
    ),
    attention_depths=(1, 2, 4, 6, 8),
)

_SMALL_IMAGES = Settings(
    base_name="efficientformer_32",
    classes=10,
    resolutions=(16, 24, 32),
    stem_strides=(1, 2),
    stages=(
        Stage((32, 48), (1, 2)),
        Stage((48, 64, 80), (1, 2)),
        Stage((96, 128, 160), (1, 2, 3)),
        Stage((160, 192, 224), (0, 1, 2), stride=1),
    ),
    attention_depths=(1, 2, 3),
)


@register_space("efficientformer")
def efficientformer(*, classes: int = 1000, resolutions: Sequence[int] = _PAPER.resolutions) -> EfficientFormerSpace:
    """EfficientFormer at 224 px: pooling and attention blocks, elastic width and depth of every stage."""
    return EfficientFormerSpace(replace(_PAPER, classes=classes, resolutions=tuple(resolutions)), _PAPER)


@register_space("efficientformer_32")
def efficientformer_32(
    *, classes: int = 10, resolutions: Sequence[int] = _SMALL_IMAGES.resolutions
) -> EfficientFormerSpace:
    """EfficientFormer for images of about 32 px: fewer strides, and the resolution is elastic too."""
    return EfficientFormerSpace(replace(_SMALL_IMAGES, classes=classes, resolutions=tuple(resolutions)), _SMALL_IMAGES)


@register_published(
    "efficientformer_l1",
    Publication(
        source="Li et al. 2022, EfficientFormer, table 1",
        macs=PrintedCount(1.3, 1e9, 1),
        parameters=PrintedCount(12.3, 1e6, 1),
        differences=(
            Difference(
                "second classifier",
                "trained by distillation; its mean with the first is one linear layer",
                macs=448 * 1000,
                parameters=449 * 1000,
            ),
            Difference(
                "biases of convolutions", "each is followed by a batch norm, which takes it away", parameters=15_960
            ),
        ),
    ),
)
def _published_l1() -> tuple[SearchSpace, Architecture]:
    options: dict[str, int | float | str] = {"resolution": 224, "attention.depth": 1}
    for s, (width, depth) in enumerate(((48, 3), (96, 2), (224, 6), (448, 3))):
        options[f"stages.{s}.width"], options[f"stages.{s}.depth"] = width, depth
    space = efficientformer()
    return space, space.from_options(options)
