"""MobileNetV2 (Sandler et al. 2018, table 2) with elastic resolution, width, depth, kernel and expansion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from search_spaces.architecture import Architecture
from search_spaces.blocks import pooled_classifier
from search_spaces.builder import NetworkBuilder, make_divisible
from search_spaces.once_for_all import OnceForAllSpace, Settings, Stage
from search_spaces.published import Difference, PrintedCount, Publication, register_published
from search_spaces.registry import register_space
from search_spaces.space import Option


class MobileNetV2Space(OnceForAllSpace):
    """MobileNetV2's stages and head; the head's width never shrinks (section 4)."""

    first_activation = "relu6"

    def head_widths(self, multiplier: float) -> tuple[int, ...]:
        """Multipliers below 1 apply to all layers but the last convolution."""
        return (make_divisible(self.settings.final_width * max(1.0, multiplier)),)

    def add_head(self, builder: NetworkBuilder, source: str, multiplier: float) -> None:
        """1x1 convolution, mean over the image, linear layer."""
        settings = self.settings
        (width,) = self.head_widths(multiplier)
        pooled_classifier(builder, source, width, settings.classes, settings.activation)


# Channels and number of blocks of every stage after the first block, and its stride at 224 px (table 2).
_STAGES = ((24, 2, 2), (32, 3, 2), (64, 4, 2), (96, 3, 1), (160, 3, 2), (320, 1, 1))


def _stages(strides: Sequence[int]) -> tuple[Stage, ...]:
    return tuple(
        Stage(
            width,
            stride,
            "relu6",
            squeeze_excite=False,
            depths=(blocks - 1, blocks, blocks + 1) if blocks > 1 else (1,),
            kernels=(3, 5, 7),
            expansions=(3, 4, 6),
        )
        for (width, blocks, _), stride in zip(_STAGES, strides, strict=True)
    )


_SETTINGS = Settings(
    base_name="mobilenetv2",
    classes=1000,
    resolutions=(96, 128, 160, 192, 224),
    width_multipliers=(0.35, 0.5, 0.75, 1.0, 1.3, 1.4),
    stem_width=32,
    stem_stride=2,
    first_width=16,
    stages=_stages([stride for *_, stride in _STAGES]),
    final_width=1280,
    feature_width=None,
    activation="relu6",
)
# Without the first two strides, 32 px end as 4x4 features (224 px end as 7x7).
_SMALL_IMAGES = replace(
    _SETTINGS,
    base_name="mobilenetv2_32",
    classes=10,
    resolutions=(16, 20, 24, 28, 32),
    stem_stride=1,
    stages=_stages((1, 2, 2, 1, 2, 1)),
)


@register_space("mobilenetv2")
def mobilenetv2(
    *,
    classes: int = 1000,
    resolutions: Sequence[int] = _SETTINGS.resolutions,
    widths: Sequence[float] = _SETTINGS.width_multipliers,
) -> MobileNetV2Space:
    """MobileNetV2 at 96 to 224 px: elastic resolution, width, depth (one block more or less), kernel, expansion."""
    return MobileNetV2Space.varied(_SETTINGS, classes=classes, resolutions=resolutions, widths=widths)


@register_space("mobilenetv2_32")
def mobilenetv2_32(
    *,
    classes: int = 10,
    resolutions: Sequence[int] = _SMALL_IMAGES.resolutions,
    widths: Sequence[float] = _SMALL_IMAGES.width_multipliers,
) -> MobileNetV2Space:
    """MobileNetV2 for images of about 32 px: the first two strides left out, the same five elastic dimensions."""
    return MobileNetV2Space.varied(_SMALL_IMAGES, classes=classes, resolutions=resolutions, widths=widths)


def hand_made(space: MobileNetV2Space, *, width: float, resolution: int) -> Architecture:
    """MobileNetV2 itself: depths of table 2, kernels of 3, expansions of 6.

    Raises:
        SpaceError: the space does not have this width or resolution.
    """
    options: dict[str, Option] = {"resolution": resolution, "width": width}
    for s, (_, blocks, _) in enumerate(_STAGES):
        options[f"stages.{s}.depth"] = blocks
        for b in range(blocks):
            options |= {f"stages.{s}.blocks.{b}.kernel": 3, f"stages.{s}.blocks.{b}.expansion": 6}
    return space.from_options(options)


# The paper's size of width 1.0 (table 4); the authors list 300 M and 3.47 M, and the other widths, with the released
# weights (github.com/tensorflow/models, research/slim/nets/mobilenet).
_PRINTED = {
    0.35: (PrintedCount(59, 1e6, cut=True), PrintedCount(1.66, 1e6, 2), 14080),
    0.5: (PrintedCount(97, 1e6, cut=True), PrintedCount(1.95, 1e6, 2), 18544),
    0.75: (PrintedCount(209, 1e6, cut=True), PrintedCount(2.61, 1e6, 2), 26640),
    1.0: (PrintedCount(300, 1e6, cut=True), PrintedCount(3.4, 1e6, 1, cut=True), 34112),
    1.3: (PrintedCount(509, 1e6, cut=True), PrintedCount(5.34, 1e6, 2), 44256),
    1.4: (PrintedCount(582, 1e6, cut=True), PrintedCount(6.06, 1e6, 2), 47936),
}


def _register(width: float) -> None:
    macs, parameters, norms = _PRINTED[width]
    source = "Sandler et al. 2018, table 4" if width == 1.0 else "the authors' table of released MobileNetV2 weights"
    difference = Difference("batch norms", "the table leaves their scales and shifts out", parameters=-norms)

    @register_published(f"mobilenetv2_{width}", Publication(source, macs, parameters, (difference,)))
    def make() -> tuple[MobileNetV2Space, Architecture]:
        space = mobilenetv2()
        return space, hand_made(space, width=width, resolution=224)


for _width in _PRINTED:
    _register(_width)
