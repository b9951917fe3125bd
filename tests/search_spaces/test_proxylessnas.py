from __future__ import annotations

from typing import Any

import pytest

from search_spaces import SpaceError, get_published, get_space, macs, parameters
from search_spaces.network import Conv


def test_layers_that_change_the_shape_cannot_be_skipped() -> None:
    space = get_space("proxylessnas")
    assert len(space.decisions) == 21
    assert [d.name for d in space.decisions if "skip" not in d.options] == [f"stages.{s}.blocks.0.op" for s in range(6)]
    assert space.size == 6**6 * 7**15


def test_a_skipped_layer_has_no_nodes_and_others_keep_their_names() -> None:
    space = get_space("proxylessnas_32")
    options = dict(space.options_of(space.largest()))
    network = space.lower(space.from_options({**options, "stages.2.blocks.1.op": "skip"}))
    assert "stages.2.blocks.1" not in network.blocks
    assert network.by_name["stages.2.blocks.2.expand"].inputs == ("stages.2.blocks.0.project",)


def test_a_candidate_says_kernel_and_expansion() -> None:
    space = get_space("proxylessnas_32")
    network = space.lower(space.from_options({"stages.1.blocks.0.op": "k5_e6"}))
    op = network.by_name["stages.1.blocks.0.depthwise"].op
    assert isinstance(op, Conv)
    assert (op.kernel, op.out_channels, op.stride) == (5, 6 * 24, 2)


@pytest.mark.parametrize(
    ("name", "millions", "count"),
    [("mobile", 320.427584, 4_080_512), ("gpu", 465.26016, 7_119_848), ("cpu", 439.243864, 4_361_648)],
)
def test_published_networks_have_the_parameters_of_the_released_ones(name: str, millions: float, count: int) -> None:
    published = get_published(f"proxylessnas_{name}")
    network = published.space.lower(published.architecture)
    assert macs(network) / 1e6 == millions
    assert parameters(network) == count


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": 1}, "classes is 1"),
        ({"width": 0}, "width is 0; give a positive number"),
        ({"stage_widths": [24, 40]}, "give 6 widths"),
    ],
)
def test_bad_settings_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        get_space("proxylessnas", options)
