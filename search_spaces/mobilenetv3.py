"""Once-for-all's MobileNetV3 space (Cai et al. 2020, section 4.1 and appendix A), and a variant for 32-px images.

Elastic are the input resolution, a width multiplier of the whole network, and in every stage the depth and each block's
kernel and expansion ratio.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from search_spaces.architecture import Architecture
from search_spaces.builder import NetworkBuilder, make_divisible
from search_spaces.errors import SpaceError
from search_spaces.network import ActivationKind
from search_spaces.once_for_all import OnceForAllSpace, Settings, Stage
from search_spaces.published import PrintedCount, Publication, register_published
from search_spaces.registry import register_space
from search_spaces.space import Option


class MobileNetV3Space(OnceForAllSpace):
    """MobileNetV3's stages and its head, which averages over the image before its second layer."""

    first_activation = "relu"

    def head_widths(self, multiplier: float) -> tuple[int, ...]:
        """Both layers scale with the network."""
        settings = self.settings
        assert settings.feature_width is not None  # noqa: S101 (this module's settings have one)
        return make_divisible(settings.final_width * multiplier), make_divisible(settings.feature_width * multiplier)

    def add_head(self, builder: NetworkBuilder, source: str, multiplier: float) -> None:
        """Howard et al. 2019, section 5.1 and figure 5."""
        settings = self.settings
        final_width, feature_width = self.head_widths(multiplier)
        with builder.block("head"):
            x = builder.conv("expand", source, final_width)
            x = builder.activation("expand_activation", x, settings.activation)
            x = builder.global_pool("pool", x)
            x = builder.conv("features", x, feature_width, norm=False)
            x = builder.activation("features_activation", x, settings.activation)
            x = builder.flatten("flatten", x)
            builder.linear("classifier", x, settings.classes)


def _ofa_stages() -> tuple[Stage, ...]:
    rows: tuple[tuple[int, int, ActivationKind, bool], ...] = (
        (24, 2, "relu", False),
        (40, 2, "relu", True),
        (80, 2, "hard_swish", False),
        (112, 1, "hard_swish", True),
        (160, 2, "hard_swish", True),
    )
    return tuple(Stage(w, s, act, se, (2, 3, 4), (3, 5, 7), (3, 4, 6)) for w, s, act, se in rows)


_OFA = Settings(
    base_name="mobilenetv3",
    classes=1000,
    resolutions=tuple(range(128, 225, 4)),
    width_multipliers=(1.0, 1.2),
    stem_width=16,
    stem_stride=2,
    first_width=16,
    stages=_ofa_stages(),
    final_width=960,
    feature_width=1280,
    activation="hard_swish",
)


@register_space("mobilenetv3")
def mobilenetv3(
    *,
    classes: int = 1000,
    resolutions: Sequence[int] = _OFA.resolutions,
    widths: Sequence[float] = _OFA.width_multipliers,
) -> MobileNetV3Space:
    """Once-for-all MobileNetV3 at 128 to 224 px: elastic resolution, width, depth, kernel, expansion."""
    return MobileNetV3Space.varied(_OFA, classes=classes, resolutions=resolutions, widths=widths)


def _stages_32(
    kernels: Sequence[int],
    expansions: Sequence[float],
    depths: Sequence[int],
    activation: ActivationKind,
    *,
    squeeze_excite: bool,
) -> tuple[Stage, ...]:
    shapes = ((24, 2, False), (40, 1, False), (80, 2, True), (112, 1, True))
    return tuple(
        Stage(w, s, activation, se and squeeze_excite, tuple(depths), tuple(kernels), tuple(expansions))
        for w, s, se in shapes
    )


_SMALL_IMAGES = Settings(
    base_name="mobilenetv3_32",
    classes=10,
    resolutions=(16, 20, 24, 28, 32),
    width_multipliers=(0.5, 0.75, 1.0),
    stem_width=16,
    stem_stride=1,
    first_width=16,
    stages=_stages_32((3, 5, 7), (2, 3, 4), (1, 2, 3), "hard_swish", squeeze_excite=True),
    final_width=480,
    feature_width=640,
    activation="hard_swish",
)


@register_space("mobilenetv3_32")
def mobilenetv3_32(
    *,
    classes: int = 10,
    resolutions: Sequence[int] = _SMALL_IMAGES.resolutions,
    widths: Sequence[float] = _SMALL_IMAGES.width_multipliers,
    kernels: Sequence[int] = (3, 5, 7),
    expansions: Sequence[float] = (2, 3, 4),
    depths: Sequence[int] = (1, 2, 3),
    activation: ActivationKind = "hard_swish",
    squeeze_excite: bool = True,
) -> MobileNetV3Space:
    """MobileNetV3 for images of about 32 px: fewer strides, the same five elastic dimensions."""
    if activation not in ("relu", "relu6", "hard_swish", "swish"):
        raise SpaceError(f"activation is {activation!r}; allowed: 'relu', 'relu6', 'hard_swish', 'swish'")
    settings = replace(
        _SMALL_IMAGES,
        classes=classes,
        resolutions=tuple(resolutions),
        width_multipliers=tuple(widths),
        stages=_stages_32(kernels, expansions, depths, activation, squeeze_excite=squeeze_excite),
        activation=activation,
    )
    return MobileNetV3Space(settings, default=_SMALL_IMAGES)


# Kernel and expansion of every block of every stage: the configuration released with the weights.
_OFA_595M = ("33 54 33", "54 54 36 53", "76 56 33 54", "36 56 76 34", "36 36 56 33")


@register_published(
    "ofa_mobilenetv3_595m",
    Publication("Cai et al. 2020, table 2 (once-for-all, fine-tuned for 75 epochs)", PrintedCount(595, 1e6), None),
)
def _ofa_595m() -> tuple[MobileNetV3Space, Architecture]:
    """At 236 px, beyond the resolutions that were trained for."""
    space = mobilenetv3(resolutions=[236], widths=[1.2])
    options: dict[str, Option] = {}
    for s, rows in enumerate(_OFA_595M):
        blocks = rows.split()
        options[f"stages.{s}.depth"] = len(blocks)
        for b, row in enumerate(blocks):
            options[f"stages.{s}.blocks.{b}.kernel"] = int(row[0])
            options[f"stages.{s}.blocks.{b}.expansion"] = int(row[1])
    return space, space.from_options(options)
