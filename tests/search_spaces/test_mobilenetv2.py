from __future__ import annotations

import pytest

from search_spaces import SpaceError, macs, parameters
from search_spaces.mobilenetv2 import hand_made, mobilenetv2, mobilenetv2_32
from search_spaces.network import Activation, Conv


def strides(network_nodes: object) -> list[int]:
    assert isinstance(network_nodes, tuple)
    return [node.op.stride for node in network_nodes if isinstance(node.op, Conv) and node.op.depthwise]


def test_width_1_is_the_table_of_the_paper() -> None:
    space = mobilenetv2()
    network = space.lower(hand_made(space, width=1.0, resolution=224))
    # Exactly what other public implementations count.
    assert (macs(network), parameters(network)) == (300_774_272, 3_504_872)
    blocks = [name for name in network.blocks if name.startswith("stages.")]
    assert len(blocks) == 16
    assert network.by_name["stages.5.blocks.0.project"].shape == (320, 7, 7)
    assert network.by_name["head.expand"].shape == (1280, 7, 7)
    assert {n.op for n in network.nodes if isinstance(n.op, Activation)} == {Activation("relu6")}
    assert strides(network.nodes) == [1, 2, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1]


def test_the_last_convolution_widens_but_never_shrinks() -> None:
    space = mobilenetv2()
    widths = {
        w: space.lower(hand_made(space, width=w, resolution=96)).by_name["head.expand"].shape[0] for w in (0.35, 1.4)
    }
    assert widths == {0.35: 1280, 1.4: 1792}


def test_small_images_keep_their_resolution_longer() -> None:
    space = mobilenetv2_32()
    network = space.lower(hand_made(space, width=1.0, resolution=32))
    sides = [network.by_name[f"stages.{s}.blocks.0.project"].shape[-1] for s in range(6)]
    assert sides == [32, 16, 8, 8, 4, 4]
    assert network.output.shape == (10,)


def test_a_width_that_the_space_does_not_have_is_refused() -> None:
    with pytest.raises(SpaceError, match=r"'width': 0\.6 was given; allowed"):
        hand_made(mobilenetv2(), width=0.6, resolution=224)
