"""MobileNetV3-Large and -Small as their authors made them (Howard et al. 2019, tables 1 and 2), at any width.

The hand-made networks lie outside once-for-all's MobileNetV3 space: their expansions are no common ratios and their
depths differ by stage. Here only variant, width and resolution are free. The variants share no weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, TypeAlias

from search_spaces.architecture import Architecture
from search_spaces.blocks import SqueezeExcite, inverted_residual
from search_spaces.builder import NetworkBuilder, make_divisible
from search_spaces.errors import SpaceError
from search_spaces.network import ActivationKind, Network
from search_spaces.published import PrintedCount, Publication, register_published
from search_spaces.registry import register_space
from search_spaces.settings import SettingsSpace, check_ascending, check_classes, settings_name
from search_spaces.space import Decision

Variant: TypeAlias = Literal["small", "large"]
VARIANTS: tuple[Variant, ...] = ("small", "large")
Row: TypeAlias = tuple[int, int, int, bool, ActivationKind, int]

# Kernel, expanded channels, output channels, squeeze-and-excite, activation, stride of every block.
_ROWS: dict[Variant, tuple[Row, ...]] = {
    "large": (
        (3, 16, 16, False, "relu", 1),
        (3, 64, 24, False, "relu", 2),
        (3, 72, 24, False, "relu", 1),
        (5, 72, 40, True, "relu", 2),
        (5, 120, 40, True, "relu", 1),
        (5, 120, 40, True, "relu", 1),
        (3, 240, 80, False, "hard_swish", 2),
        (3, 200, 80, False, "hard_swish", 1),
        (3, 184, 80, False, "hard_swish", 1),
        (3, 184, 80, False, "hard_swish", 1),
        (3, 480, 112, True, "hard_swish", 1),
        (3, 672, 112, True, "hard_swish", 1),
        (5, 672, 160, True, "hard_swish", 2),
        (5, 960, 160, True, "hard_swish", 1),
        (5, 960, 160, True, "hard_swish", 1),
    ),
    "small": (
        (3, 16, 16, True, "relu", 2),
        (3, 72, 24, False, "relu", 2),
        (3, 88, 24, False, "relu", 1),
        (5, 96, 40, True, "hard_swish", 2),
        (5, 240, 40, True, "hard_swish", 1),
        (5, 240, 40, True, "hard_swish", 1),
        (5, 120, 48, True, "hard_swish", 1),
        (5, 144, 48, True, "hard_swish", 1),
        (5, 288, 96, True, "hard_swish", 2),
        (5, 576, 96, True, "hard_swish", 1),
        (5, 576, 96, True, "hard_swish", 1),
    ),
}
# Channels of the last convolution and of the layer after the mean over the image.
_HEADS: dict[Variant, tuple[int, int]] = {"large": (960, 1280), "small": (576, 1024)}


@dataclass(frozen=True, slots=True)
class Settings:
    """All that defines such a space."""

    base_name: str
    classes: int
    resolutions: tuple[int, ...]
    width_multipliers: tuple[float, ...]
    strides_left_out: int


class MobileNetV3FamilySpace(SettingsSpace):
    """Decisions ``variant``, ``width`` and ``resolution``."""

    def __init__(self, settings: Settings, default: Settings | None = None) -> None:
        space = f"space {settings.base_name!r}"
        check_classes(space, settings.classes)
        check_ascending(space, "resolutions", settings.resolutions, whole=True)
        check_ascending(space, "widths", settings.width_multipliers)
        scaled = {_scaled_widths(width) for width in settings.width_multipliers}
        if len(scaled) < len(settings.width_multipliers):
            given = list(settings.width_multipliers)
            raise SpaceError(f"{space}: widths {given} round to the same channels; give multipliers further apart")
        self.settings = settings
        self._name = settings_name(settings.base_name, settings, default)

    @cached_property
    def decisions(self) -> tuple[Decision, ...]:
        """Three."""
        settings = self.settings
        return (
            Decision("variant", VARIANTS),
            Decision("width", settings.width_multipliers),
            Decision("resolution", settings.resolutions),
        )

    def lower(self, arch: Architecture) -> Network:
        """The network of one architecture: logits of shape ``(classes,)``."""
        self.validate(arch)
        settings = self.settings
        variant, width, resolution = arch.choices
        side = settings.resolutions[resolution]
        builder = NetworkBuilder((3, side, side))
        writer = _Writer(VARIANTS[variant], settings.width_multipliers[width], builder)
        return writer.write(settings.strides_left_out, settings.classes)


def _scaled_widths(multiplier: float) -> tuple[int, ...]:
    return tuple(make_divisible(row[2] * multiplier) for rows in _ROWS.values() for row in rows)


@dataclass(frozen=True, slots=True)
class _Writer:
    variant: Variant
    multiplier: float
    builder: NetworkBuilder

    def write(self, strides_left_out: int, classes: int) -> Network:
        builder = self.builder
        left_out = iter(range(strides_left_out))

        def kept(stride: int) -> int:
            return 1 if stride == 2 and next(left_out, None) is not None else stride

        with builder.block(f"{self.variant}.stem"):
            x = builder.conv("conv", builder.input, self._width(16), 3, stride=kept(2))
            x = builder.activation("activation", x, "hard_swish")
        for b, (kernel, middle, width, squeeze, activation, stride) in enumerate(_ROWS[self.variant]):
            expanded = self._width(middle)
            with builder.block(f"{self.variant}.blocks.{b}"):
                x = inverted_residual(
                    builder,
                    x,
                    self._width(width),
                    middle=expanded,
                    kernel=kernel,
                    stride=kept(stride),
                    activation=activation,
                    squeeze_excite=SqueezeExcite(make_divisible(expanded // 4)) if squeeze else None,
                )
        self._head(x, classes)
        return builder.build()

    def _head(self, source: str, classes: int) -> None:
        """Section 5.1 and figure 5; the last layer is not thinned (the authors' code does so for small multipliers)."""
        builder = self.builder
        final_width, feature_width = _HEADS[self.variant]
        with builder.block(f"{self.variant}.head"):
            x = builder.conv("expand", source, self._width(final_width))
            x = builder.activation("expand_activation", x, "hard_swish")
            x = builder.global_pool("pool", x)
            features = make_divisible(feature_width * max(1.0, self.multiplier))
            x = builder.conv("features", x, features, norm=False, bias=True)
            x = builder.activation("features_activation", x, "hard_swish")
            builder.linear("classifier", builder.flatten("flatten", x), classes)

    def _width(self, channels: int) -> int:
        return make_divisible(channels * self.multiplier)


_SETTINGS = Settings(
    base_name="mobilenetv3_family",
    classes=1000,
    resolutions=(96, 128, 160, 192, 224, 256),
    width_multipliers=(0.35, 0.5, 0.75, 1.0, 1.25),
    strides_left_out=0,
)
# Without the first two strides, 32 px end as 4x4 features (224 px end as 7x7).
_SMALL_IMAGES = replace(
    _SETTINGS, base_name="mobilenetv3_family_32", classes=10, resolutions=(16, 20, 24, 28, 32), strides_left_out=2
)


@register_space("mobilenetv3_family")
def mobilenetv3_family(
    *,
    classes: int = 1000,
    resolutions: Sequence[int] = _SETTINGS.resolutions,
    widths: Sequence[float] = _SETTINGS.width_multipliers,
) -> MobileNetV3FamilySpace:
    """The hand-made MobileNetV3-Small and -Large: variant, width and resolution."""
    settings = replace(_SETTINGS, classes=classes, resolutions=tuple(resolutions), width_multipliers=tuple(widths))
    return MobileNetV3FamilySpace(settings, default=_SETTINGS)


@register_space("mobilenetv3_family_32")
def mobilenetv3_family_32(
    *,
    classes: int = 10,
    resolutions: Sequence[int] = _SMALL_IMAGES.resolutions,
    widths: Sequence[float] = _SMALL_IMAGES.width_multipliers,
) -> MobileNetV3FamilySpace:
    """The hand-made MobileNetV3-Small and -Large for images of about 32 px: the first two strides left out."""
    settings = replace(_SMALL_IMAGES, classes=classes, resolutions=tuple(resolutions), width_multipliers=tuple(widths))
    return MobileNetV3FamilySpace(settings, default=_SMALL_IMAGES)


def hand_made(space: MobileNetV3FamilySpace, *, variant: Variant, width: float, resolution: int) -> Architecture:
    """One member of the family.

    Raises:
        SpaceError: the space does not have this variant, width or resolution.
    """
    return space.from_options({"variant": variant, "width": width, "resolution": resolution})


def _published(variant: Variant) -> tuple[MobileNetV3FamilySpace, Architecture]:
    space = mobilenetv3_family()
    return space, hand_made(space, variant=variant, width=1.0, resolution=224)


@register_published(
    "mobilenetv3_large",
    Publication(
        "Howard et al. 2019, table 1; sizes from the authors' table of released weights (table 3 of the paper prints "
        "219 M multiply-adds for the same layers, which no way of counting them that we tried gives)",
        PrintedCount(217, 1e6),
        PrintedCount(5.4, 1e6, 1, cut=True),
    ),
)
def _large() -> tuple[MobileNetV3FamilySpace, Architecture]:
    return _published("large")


@register_published(
    "mobilenetv3_small",
    Publication("Howard et al. 2019, tables 2 and 3", PrintedCount(56, 1e6, cut=True), PrintedCount(2.5, 1e6, 1)),
)
def _small() -> tuple[MobileNetV3FamilySpace, Architecture]:
    return _published("small")
