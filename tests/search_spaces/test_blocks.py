from __future__ import annotations

import pytest

from search_spaces import NetworkBuilder
from search_spaces.blocks import SqueezeExcite, add_shortcut, channel_shuffle, expanded, inverted_residual
from search_spaces.network import Activation, Add, Conv, Network, Transpose


def one_block(out_channels: int, *, middle: int = 48, stride: int = 1, always_expand: bool = False) -> Network:
    b = NetworkBuilder((8, 8, 8))
    with b.block("block"):
        inverted_residual(
            b,
            b.input,
            out_channels,
            middle=middle,
            kernel=5,
            stride=stride,
            activation="relu6",
            squeeze_excite=SqueezeExcite(4, "sigmoid"),
            always_expand=always_expand,
        )
    return b.build()


def test_an_inverted_residual_expands_filters_gates_and_projects() -> None:
    network = one_block(8)
    names = "expand expand_activation depthwise depthwise_activation se_pool se_reduce se_reduce_activation se_expand "
    names += "se_gate se_scale project residual"
    assert [node.name for node in network.nodes[1:]] == [f"block.{name}" for name in names.split()]
    assert network.by_name["block.se_reduce"].shape == (4, 1, 1)
    assert network.by_name["block.se_gate"].op == Activation("sigmoid")
    assert network.output.inputs == ("block.project", "input")


@pytest.mark.parametrize(("out_channels", "stride"), [(16, 1), (8, 2)])
def test_a_changed_shape_has_no_shortcut(out_channels: int, stride: int) -> None:
    assert one_block(out_channels, stride=stride).output.name == "block.project"


def test_without_expansion_there_is_no_first_convolution_unless_it_is_asked_for() -> None:
    assert "block.expand" not in one_block(8, middle=8).by_name
    assert one_block(8, middle=8, always_expand=True).by_name["block.expand"].shape == (8, 8, 8)


def test_shortcuts() -> None:
    b = NetworkBuilder((8, 6, 6))
    with b.block("body"):
        x = b.conv("conv", b.input, 8)
        assert add_shortcut(b, x, b.input, "none") == x
        pooled = add_shortcut(b, x, b.input, "pool")
    network = b.build()
    assert network.by_name[pooled].op == Add()
    assert network.by_name["body.shortcut_pool"].inputs == ("input",)


def test_a_shuffle_deals_the_channels_of_every_group_out() -> None:
    b = NetworkBuilder((6, 2, 2))
    with b.block("body"):
        channel_shuffle(b, "shuffle", b.input, 2)
    split, swap, join = b.build().nodes[1:]
    assert split.shape == (2, 3, 2, 2)
    assert swap.op == Transpose((1, 0, 2, 3))
    assert join.shape == (6, 2, 2)


def test_expanded_channels_are_multiples_of_eight_unless_nothing_expands() -> None:
    assert expanded(20, 1) == 20
    assert expanded(24, 3) == 72
    assert expanded(20, 3) == 64


def test_convolutions_are_normalised_but_those_of_the_gate() -> None:
    convolutions = {n.name: n.op for n in one_block(8).nodes if isinstance(n.op, Conv)}
    assert {name for name, op in convolutions.items() if not op.norm} == {"block.se_reduce", "block.se_expand"}
