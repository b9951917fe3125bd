from __future__ import annotations

import pytest

from search_spaces import SpaceError, get_published, get_space, macs
from search_spaces.network import Activation, Conv, Pool


def test_size_by_counting() -> None:
    size = (
        4 * 2 * (2 * 2 * 2) * (2 * 3 * 2 * 3) * (2 * 4 * 2 * 3) ** 2 * (3 * 6 * 2 * 3) * (4 * 6 * 2) * (2 * 2 * 2) * 2
    )
    assert get_space("attentivenas").size == size > 10**11


def test_the_smallest_network_is_a0() -> None:
    published = get_published("attentivenas_a0")
    assert published.architecture == published.space.smallest()


def test_every_activation_is_a_swish_but_those_of_squeeze_and_excite() -> None:
    published = get_published("attentivenas_a3")
    network = published.space.lower(published.architecture)
    kinds = {node.op.kind for node in network.nodes if isinstance(node.op, Activation) and ".se_" not in node.name}
    assert kinds == {"swish"}
    squeezed = {name.split(".")[1] for name, nodes in network.blocks.items() if any(".se_" in n.name for n in nodes)}
    assert squeezed == {"2", "4", "5", "6"}


def test_shortcuts_average_and_convolve_where_shapes_differ() -> None:
    space = get_space("attentivenas")
    network = space.lower(space.from_options({"stem.width": 24, "stages.0.width": 24, "stages.0.depth": 2}))
    assert [node.name for node in network.blocks["stages.0.blocks.0"]][-1] == "stages.0.blocks.0.residual"
    # From 24 to 24 channels at half the size: nothing to convolve.
    names = [node.name.split(".")[-1] for node in network.blocks["stages.1.blocks.0"]]
    assert names[-2:] == ["shortcut_pool", "sum"]
    assert network.by_name["stages.1.blocks.0.shortcut_pool"].op == Pool("average", 2, 2)
    assert network.by_name["stages.2.blocks.0.shortcut"].op == Conv(24, 32, 1, norm=False)
    narrowing = space.lower(space.from_options({"stem.width": 24}))
    assert narrowing.by_name["stages.0.blocks.0.shortcut"].op == Conv(24, 16, 1, norm=False)


def test_blocks_of_a_stage_share_kernel_and_expansion() -> None:
    space = get_space("attentivenas_32")
    network = space.lower(space.largest())
    assert [network.by_name[f"stages.{s}.blocks.0.sum"].shape for s in range(1, 5)] == [
        (32, 16, 16),
        (48, 16, 16),
        (80, 8, 8),
        (112, 8, 8),
    ]
    kernels = [n.op.kernel for n in network.nodes if isinstance(n.op, Conv) and n.op.depthwise]
    assert kernels == [5] * (2 + 4 * 3)
    assert network.by_name["head.expand"].shape[0] == 4 * 112
    assert macs(network) < 64e6


@pytest.mark.parametrize(("name", "resolutions"), [("attentivenas", [192, 200]), ("attentivenas_32", [30])])
def test_sizes_that_cannot_be_halved_are_refused(name: str, resolutions: list[int]) -> None:
    with pytest.raises(SpaceError, match=r"resolutions is .*ascending multiples of"):
        get_space(name, {"resolutions": resolutions})
