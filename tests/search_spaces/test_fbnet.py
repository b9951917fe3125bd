from __future__ import annotations

import pytest

from search_spaces import SearchSpace, SpaceError, get_published, get_space, macs, node_parameters
from search_spaces.fbnet import BLOCKS, SKIP
from search_spaces.network import Conv, Network


def with_first(space: SearchSpace, stage: int, candidate: str) -> Network:
    return space.lower(space.from_options({f"stages.{stage}.blocks.0.op": candidate}))


def test_22_layers_of_nine_candidates() -> None:
    space = get_space("fbnet")
    assert len(space.decisions) == 22
    assert all(set(decision.options) == {SKIP, *BLOCKS} for decision in space.decisions)
    assert space.size == 9**22


def test_candidates_are_in_the_order_of_their_parameters() -> None:
    space = get_space("fbnet")
    for stage in (0, 1, 4):
        counts = []
        for candidate in space.decisions[4 * stage - 3 if stage else 0].options:
            nodes = with_first(space, stage, str(candidate)).nodes
            counts.append(sum(node_parameters(n) for n in nodes if n.block.startswith(f"stages.{stage}.blocks.0")))
        assert counts == sorted(counts)


def test_grouped_blocks_shuffle_between_their_first_two_layers() -> None:
    network = with_first(get_space("fbnet"), 1, "k5_e1_g2")
    names = [
        node.name.removeprefix("stages.1.blocks.0.grouped.") for node in network.blocks["stages.1.blocks.0.grouped"]
    ]
    shuffle = ["shuffle_split", "shuffle_swap", "shuffle_join"]
    assert names == ["expand", "expand_activation", *shuffle, "depthwise", "depthwise_activation", "project"]
    groups = [n.op.groups for n in network.blocks["stages.1.blocks.0.grouped"] if isinstance(n.op, Conv)]
    assert groups == [2, 16, 2]


def test_a_skip_that_changes_the_shape_is_a_convolution() -> None:
    space = get_space("fbnet_32")
    assert not [name for name in with_first(space, 0, SKIP).blocks if name.startswith("stages.0")]
    network = with_first(space, 2, SKIP)
    (conv, _) = network.blocks["stages.2.blocks.0.skip"]
    assert isinstance(conv.op, Conv)
    assert (conv.op.kernel, conv.op.stride, conv.shape) == (1, 2, (32, 16, 16))


def test_an_expansion_of_1_keeps_the_first_convolution() -> None:
    assert with_first(get_space("fbnet"), 0, "k3_e1").by_name["stages.0.blocks.0.expand"].shape == (16, 112, 112)


def test_small_images_have_the_shapes_of_the_public_latency_tables() -> None:
    space = get_space("fbnet_32")
    network = space.lower(space.largest())
    shapes = [network.by_name[f"stages.{s}.blocks.0.project"].shape for s in range(7)]
    sides = [(16, 32), (24, 32), (32, 16), (64, 8), (112, 8), (184, 4), (352, 4)]
    assert shapes == [(channels, side, side) for channels, side in sides]
    assert network.by_name["head.expand"].shape == (1504, 4, 4)


def test_separate_layers_explain_b_and_c_exactly() -> None:
    """Released B and C replace one and two 5x5 depthwise layers by two of 3x3 each: 295.56 M and 382.98 M then."""
    for name, released in (("fbnet_b", 295_561_032), ("fbnet_c", 382_984_480)):
        published = get_published(name)
        network = published.space.lower(published.architecture)
        assert macs(network) + sum(part.macs for part in published.publication.differences) == released
        for part in published.publication.differences:
            if part.macs:
                op = network.by_name[part.part].op
                assert isinstance(op, Conv)
                assert (op.kernel, op.depthwise) == (5, True)


def test_bad_settings_are_refused() -> None:
    with pytest.raises(SpaceError, match="widths"):
        get_space("fbnet", {"final_width": 0})
