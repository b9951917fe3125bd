from __future__ import annotations

from search_spaces import SearchSpace, get_published, get_space, macs, parameters
from search_spaces.network import Activation, Conv, Network
from search_spaces.space import Option


def lowered(space: SearchSpace, **options: Option) -> Network:
    return space.lower(space.from_options({f"stages.1.{name}": value for name, value in options.items()}))


def test_a_block_has_the_number_of_sub_networks_that_the_paper_counts() -> None:
    space = get_space("mnasnet")
    options = {d.name.removeprefix("stages.1."): d.options for d in space.decisions if d.name.startswith("stages.1.")}
    count = 1
    for values in options.values():
        count *= len(values)
    assert count == 432
    assert set(options) == {"op", "kernel", "se_ratio", "width", "depth", "skip"}


def test_operators_do_not_share_names_where_they_do_not_share_a_kind() -> None:
    space = get_space("mnasnet_32")
    kinds = {op: set(lowered(space, op=op, depth=2).blocks) for op in ("conv", "separable", "mbconv3", "mbconv6")}
    assert "stages.1.blocks.0.conv" in kinds["conv"]
    assert "stages.1.blocks.0.separable" in kinds["separable"]
    assert kinds["mbconv3"] == kinds["mbconv6"]
    assert "stages.1.blocks.1.mbconv" in kinds["mbconv6"]


def test_layers_of_a_block_are_alike() -> None:
    network = lowered(get_space("mnasnet_32"), op="mbconv6", kernel=5, width=40, depth=4)
    depthwise = [
        n for n in network.nodes if n.name.startswith("stages.1.") and isinstance(n.op, Conv) and n.op.depthwise
    ]
    assert [(n.op.kernel, n.op.stride) for n in depthwise if isinstance(n.op, Conv)] == [(5, 2)] + [(5, 1)] * 3
    assert {n.shape[0] for n in depthwise[1:]} == {240}


def test_squeeze_ratio_is_to_the_channels_that_are_read() -> None:
    network = lowered(get_space("mnasnet_32"), op="mbconv6", se_ratio=0.25, width=40, depth=2)
    assert network.by_name["stages.1.blocks.1.mbconv.se_reduce"].shape[0] == 10
    assert network.by_name["stages.1.blocks.1.mbconv.se_gate"].op == Activation("sigmoid")


def test_skips() -> None:
    space = get_space("mnasnet_32")
    for skip, inputs in (
        ("identity", "stages.1.blocks.0.conv.activation"),
        ("pool", "stages.1.blocks.1.conv.shortcut_pool"),
    ):
        residual = lowered(space, op="conv", depth=2, skip=skip).by_name["stages.1.blocks.1.conv.residual"]
        assert residual.inputs == ("stages.1.blocks.1.conv.activation", inputs)
    assert "stages.1.blocks.1.conv.residual" not in lowered(space, op="conv", depth=2, skip="none").by_name
    assert space.from_options({"stages.5.depth": 1, "stages.5.skip": "pool"}) == space.from_options(
        {"stages.5.depth": 1}
    )


def test_published_networks_have_the_counts_of_other_implementations() -> None:
    for name, counts in (("mnasnet_a1", (311_579_072, 3_887_038)), ("mnasnet_b1", (314_415_872, 4_383_312))):
        published = get_published(name)
        network = published.space.lower(published.architecture)
        assert (macs(network), parameters(network)) == counts
