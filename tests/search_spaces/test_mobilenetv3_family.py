from __future__ import annotations

import pytest

from search_spaces import SpaceError, get_space, macs, parameters
from search_spaces.mobilenetv3_family import Variant, hand_made, mobilenetv3_family, mobilenetv3_family_32


@pytest.mark.parametrize(
    ("variant", "counts"), [("large", (216_589_760, 5_483_032)), ("small", (56_510_400, 2_542_856))]
)
def test_counts_are_those_of_other_implementations(variant: Variant, counts: tuple[int, int]) -> None:
    space = mobilenetv3_family()
    network = space.lower(hand_made(space, variant=variant, width=1.0, resolution=224))
    assert (macs(network), parameters(network)) == counts


def test_variants_share_no_weights() -> None:
    space = mobilenetv3_family()
    names = [
        {node.name for node in space.lower(hand_made(space, variant=v, width=0.5, resolution=96)).nodes[1:]}
        for v in ("small", "large")
    ]
    assert not names[0] & names[1]


def test_the_layer_after_the_mean_widens_but_never_shrinks() -> None:
    space = mobilenetv3_family()
    found = [
        space.lower(hand_made(space, variant="large", width=width, resolution=96))
        .by_name["large.head.features"]
        .shape[0]
        for width in (0.35, 1.0, 1.25)
    ]
    assert found == [1280, 1280, 1600]


@pytest.mark.parametrize("variant", ["small", "large"])
def test_small_images_end_as_4x4_features(variant: Variant) -> None:
    space = mobilenetv3_family_32()
    network = space.lower(hand_made(space, variant=variant, width=1.0, resolution=32))
    assert network.by_name[f"{variant}.head.expand"].shape[1:] == (4, 4)
    assert network.by_name[f"{variant}.stem.conv"].shape[1:] == (32, 32)


def test_widths_that_round_to_the_same_channels_are_refused() -> None:
    with pytest.raises(SpaceError, match="round to the same channels"):
        get_space("mobilenetv3_family", {"widths": [1.0, 1.0001]})
