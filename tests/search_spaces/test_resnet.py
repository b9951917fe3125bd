from __future__ import annotations

from typing import Any

import pytest

from search_spaces import NetworkBuilder, SpaceError, get_published, get_space, macs, parameters
from search_spaces.network import Conv, Pool


def test_size_by_counting() -> None:
    """A stage: three widths, and three expansions for every block of three depths."""
    small, large = (3 * sum(3**depth for depth in depths) for depths in ((2, 3, 4), (4, 5, 6)))
    assert get_space("resnet").size == 7 * 3 * small**3 * large
    # The stem's inner layer has two widths, of three multipliers, and may have a second convolution.
    assert get_space("ofa_resnet50").size == 2 * 2 * get_space("resnet").size


def test_channels_are_those_of_once_for_all() -> None:
    options = {decision.name: decision.options for decision in get_space("ofa_resnet50").decisions}
    assert options["stem.middle"] == (24, 32)
    assert options["stem.width"] == (40, 48, 64)
    assert [options[f"stages.{s}.width"] for s in range(4)] == [
        (168, 208, 256),
        (336, 408, 512),
        (664, 816, 1024),
        (1328, 1640, 2048),
    ]
    assert [options[f"stages.{s}.depth"] for s in range(4)] == [(2, 3, 4), (2, 3, 4), (4, 5, 6), (2, 3, 4)]


def test_d_differs_from_the_plain_network_in_stem_and_shortcuts_only() -> None:
    plain, d = (get_published(name) for name in ("resnet50", "resnet50_d"))
    first, second = (published.space.lower(published.architecture) for published in (plain, d))
    side = 112 * 112
    assert macs(second) - macs(first) == side * (27 * 32 + 288 * 32 + 288 * 64 - 147 * 64)
    assert parameters(second) - parameters(first) == 27 * 32 + 288 * 32 + 288 * 64 - 147 * 64 + 2 * (32 + 32)
    shortcuts = [node.op for node in first.nodes if node.name.endswith(".shortcut")]
    assert [op.stride for op in shortcuts if isinstance(op, Conv)] == [1, 2, 2, 2]
    pools = [node.op for node in second.nodes if isinstance(node.op, Pool)]
    assert pools == [Pool("max", 3, 2, (1, 1, 1, 1)), *[Pool("average", 2, 2)] * 3]
    middles = [n.op.out_channels for n in first.nodes if n.name.endswith(".middle") and isinstance(n.op, Conv)]
    assert middles == [64] * 3 + [128] * 4 + [256] * 6 + [512] * 3


def test_the_stems_second_layer_can_be_skipped() -> None:
    space = get_space("ofa_resnet50")
    blocks = [
        [node.name for node in space.lower(space.from_options({"stem.depth": depth})).blocks["stem"]]
        for depth in (2, 3)
    ]
    added = ["stem.second", "stem.second_activation", "stem.second_sum"]
    assert [name for name in blocks[1] if name not in blocks[0]] == added
    assert "stem.second" not in blocks[0]


@pytest.mark.parametrize("resolution", [144, 176])
def test_shortcuts_cover_odd_sizes(resolution: int) -> None:
    space = get_space("ofa_resnet50")
    network = space.lower(space.from_options({"resolution": resolution}))
    builder = NetworkBuilder((1, 9, 9))
    assert builder.shape(builder.pool("pool", builder.input, "average", 2, 2, cover=True)) == (1, 5, 5)
    assert network.by_name["stages.3.blocks.0.shortcut_pool"].shape[1] == -(-resolution // 32)


def test_small_images_keep_their_resolution_longer() -> None:
    space = get_space("resnet_32")
    network = space.lower(space.largest())
    shapes = [network.by_name[f"stages.{s}.blocks.0.sum"].shape for s in range(4)]
    assert shapes == [(64, 32, 32), (128, 16, 16), (256, 8, 8), (512, 4, 4)]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("resnet", {"resolutions": [32, 16]}, "ascending"),
        ("resnet_32", {"resolutions": []}, "resolutions is"),
        ("resnet", {"widths": [0.8, 0.81]}, "of 64 channels round to"),
        ("ofa_resnet50", {"widths": [0.1, 0.2]}, "expansions .* of 24 channels round to"),
        ("ofa_resnet50", {"classes": "ten"}, "classes is 'ten'"),
        ("resnet", {"resolutions": [2**0.5]}, "whole numbers"),
    ],
)
def test_bad_settings_are_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        get_space(name, options)
