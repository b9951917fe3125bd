"""The hand-made mobile networks at 32 px, which searched ones are compared with."""

from __future__ import annotations

from collections.abc import Sequence

from search_spaces.architecture import Architecture
from search_spaces.mobilenetv2 import hand_made as mobilenetv2_member
from search_spaces.mobilenetv2 import mobilenetv2_32
from search_spaces.mobilenetv3_family import VARIANTS, mobilenetv3_family_32
from search_spaces.mobilenetv3_family import hand_made as mobilenetv3_member
from search_spaces.space import SearchSpace

MOBILENETV2_WIDTHS = (0.35, 0.5, 0.75, 1.0, 1.4)


def hand_made_networks(
    *, classes: int = 10, resolution: int = 32, mobilenetv3_widths: Sequence[float] = (1.0,)
) -> dict[str, tuple[SearchSpace, Architecture]]:
    """MobileNetV2 at five widths and MobileNetV3-Small and -Large, without their first two strides, by name.

    Args:
        classes: of the classifier.
        resolution: edge of the images in pixels; about 32.
        mobilenetv3_widths: of each MobileNetV3; all but 1 are part of the names.

    Raises:
        SpaceError: a width that the family does not have.
    """
    v2 = mobilenetv2_32(classes=classes, resolutions=[resolution])
    v3 = mobilenetv3_family_32(classes=classes, resolutions=[resolution])
    networks: dict[str, tuple[SearchSpace, Architecture]] = {
        f"mobilenetv2_{width}": (v2, mobilenetv2_member(v2, width=width, resolution=resolution))
        for width in MOBILENETV2_WIDTHS
    }
    for variant in VARIANTS:
        for width in mobilenetv3_widths:
            member = mobilenetv3_member(v3, variant=variant, width=width, resolution=resolution)
            networks[f"mobilenetv3_{variant}" + ("" if width == 1 else f"_{width}")] = (v3, member)
    return networks
