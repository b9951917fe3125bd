"""Once-for-all in ProxylessNAS's shape (Cai et al. 2020): MobileNetV2 blocks, no squeeze-and-excite, relu6.

Widths are those of the published supernet (its "proxyless" base stage widths), of which there are two: 1.0 and 1.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from search_spaces.mobilenetv2 import MobileNetV2Space
from search_spaces.once_for_all import Settings, Stage
from search_spaces.registry import register_space


def _stages(depths: Sequence[int], expansions: Sequence[float], strides: Sequence[int]) -> tuple[Stage, ...]:
    elastic = [
        Stage(width, stride, "relu6", False, tuple(depths), (3, 5, 7), tuple(expansions))
        for width, stride in zip((24, 40, 80, 96, 192), strides, strict=True)
    ]
    return (*elastic, replace(elastic[0], width=320, stride=1, depths=(1,)))


_SETTINGS = Settings(
    base_name="ofa_proxylessnas",
    classes=1000,
    resolutions=tuple(range(128, 225, 4)),
    width_multipliers=(1.0, 1.3),
    stem_width=32,
    stem_stride=2,
    first_width=16,
    stages=_stages((2, 3, 4), (3, 4, 6), (2, 2, 2, 1, 2)),
    final_width=1280,
    feature_width=None,
    activation="relu6",
)
# Without the first two strides, 32 px end as 4x4 features (224 px end as 7x7).
_SMALL_IMAGES = replace(
    _SETTINGS,
    base_name="ofa_proxylessnas_32",
    classes=10,
    resolutions=(16, 20, 24, 28, 32),
    width_multipliers=(0.5, 0.75, 1.0),
    stem_stride=1,
    stages=_stages((1, 2, 3), (2, 3, 4), (1, 2, 2, 1, 2)),
    final_width=640,
)


@register_space("ofa_proxylessnas")
def ofa_proxylessnas(
    *,
    classes: int = 1000,
    resolutions: Sequence[int] = _SETTINGS.resolutions,
    widths: Sequence[float] = _SETTINGS.width_multipliers,
) -> MobileNetV2Space:
    """Once-for-all ProxylessNAS at 128 to 224 px: elastic resolution, width, depth, kernel, expansion."""
    return MobileNetV2Space.varied(_SETTINGS, classes=classes, resolutions=resolutions, widths=widths)


@register_space("ofa_proxylessnas_32")
def ofa_proxylessnas_32(
    *,
    classes: int = 10,
    resolutions: Sequence[int] = _SMALL_IMAGES.resolutions,
    widths: Sequence[float] = _SMALL_IMAGES.width_multipliers,
) -> MobileNetV2Space:
    """Once-for-all ProxylessNAS for images of about 32 px: the first two strides left out, fewer and thinner blocks."""
    return MobileNetV2Space.varied(_SMALL_IMAGES, classes=classes, resolutions=resolutions, widths=widths)
