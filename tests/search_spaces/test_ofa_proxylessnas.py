from __future__ import annotations

from search_spaces import get_space
from search_spaces.network import Conv


def test_widths_depths_and_strides_are_those_of_the_published_supernet() -> None:
    space = get_space("ofa_proxylessnas", {"widths": [1.0]})
    network = space.lower(space.largest())
    shapes = [network.by_name[f"stages.{s}.blocks.{3 if s < 5 else 0}.project"].shape for s in range(6)]
    assert shapes == [(24, 56, 56), (40, 28, 28), (80, 14, 14), (96, 14, 14), (192, 7, 7), (320, 7, 7)]
    assert not [name for name in network.blocks if name == "stages.5.blocks.1"]
    assert network.by_name["stem.conv"].shape[0] == 32
    assert network.by_name["first.project"].shape[0] == 16
    assert network.by_name["head.expand"].shape == (1280, 7, 7)


def test_size_by_the_formula_of_the_paper() -> None:
    elastic = sum((3 * 3) ** depth for depth in (2, 3, 4)) ** 5
    assert get_space("ofa_proxylessnas").size == 25 * 2 * elastic * 9


def test_small_images_keep_their_resolution_longer() -> None:
    space = get_space("ofa_proxylessnas_32")
    network = space.lower(space.largest())
    depthwise = [node for node in network.nodes if isinstance(node.op, Conv) and node.op.depthwise]
    assert depthwise[-1].shape[-1] == 4
    assert network.output.shape == (10,)
