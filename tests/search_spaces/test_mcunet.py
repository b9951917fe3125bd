from __future__ import annotations

import pytest

from search_spaces import SpaceError, get_published, get_space, peak_activation_bytes
from search_spaces.network import Conv


def test_stages_are_those_of_proxylessnas_without_a_mixing_layer() -> None:
    space = get_space("mcunet", {"widths": [1.0], "resolutions": [224]})
    network = space.lower(space.largest())
    shapes = [network.by_name[f"stages.{s}.blocks.0.project"].shape for s in range(7)]
    assert shapes == [
        (16, 112, 112),
        (24, 56, 56),
        (40, 28, 28),
        (80, 14, 14),
        (96, 14, 14),
        (192, 7, 7),
        (320, 7, 7),
    ]
    assert [node.name for node in network.blocks["head"]] == ["head.pool", "head.flatten", "head.classifier"]
    assert "stages.0.blocks.0.expand" not in network.by_name
    assert "stages.5.blocks.3" in network.blocks and "stages.6.blocks.1" not in network.blocks


def test_size_by_the_formula() -> None:
    per_stage = sum(9**depth for depth in (2, 3, 4))
    assert get_space("mcunet").size == 12 * 9 * per_stage**5 * 9


def test_small_networks_fit_a_microcontroller() -> None:
    network = get_published("mcunet_5fps")
    lowered = network.space.lower(network.architecture)
    assert peak_activation_bytes(lowered, 8) < 320 * 1024
    assert lowered.input.shape == (3, 96, 96)


def test_small_images_keep_their_resolution_longer() -> None:
    space = get_space("mcunet_32")
    network = space.lower(space.largest())
    strides = [n.op.stride for n in network.nodes if isinstance(n.op, Conv) and n.op.stride > 1]
    assert strides == [2, 2]


def test_bad_settings_are_refused() -> None:
    with pytest.raises(SpaceError, match="odd"):
        get_space("mcunet", {"kernels": [2, 3]})
    with pytest.raises(SpaceError, match=r"width_multipliers \[0.5, 0.51\] round to the same channels"):
        get_space("mcunet", {"widths": [0.5, 0.51]})
