from __future__ import annotations

from typing import Any

import pytest

from search_spaces import (
    Architecture,
    NetworkBuilder,
    SearchSpace,
    SpaceError,
    get_space,
    macs,
    make_divisible,
    parameters,
)
from search_spaces.blocks import SqueezeExcite, inverted_residual
from search_spaces.network import Activation, ActivationKind, Conv, Network

# Sub-networks of once-for-all's w1.2 supernet with the MACs and parameters that its own counters give.
PUBLISHED = [
    # resolution, depths, kernels and expansions of all twenty blocks, MACs in millions, parameters in millions
    (204, "22223", "75557757573753735353", "64466343363336346436", 305.047791, 6.132040),
    (136, "23434", "73533737373737735573", "46344446366446643664", 194.332108, 8.563984),
    (132, "44224", "35573353335535335773", "63334334444466446436", 171.539124, 7.497256),
    (136, "34423", "75337757333757575735", "43466334663334663343", 154.972305, 5.703648),
    (140, "33443", "55575575735735357333", "36336463436346334334", 187.544235, 6.340368),
]


def published_arch(space: SearchSpace, resolution: int, depths: str, kernels: str, expansions: str) -> Architecture:
    options: dict[str, int | float | str] = {"resolution": resolution, "width": 1.2}
    for stage, depth in enumerate(map(int, depths)):
        options[f"stages.{stage}.depth"] = depth
        for block in range(depth):
            options[f"stages.{stage}.blocks.{block}.kernel"] = int(kernels[4 * stage + block])
            options[f"stages.{stage}.blocks.{block}.expansion"] = int(expansions[4 * stage + block])
    return space.from_options(options)


@pytest.mark.parametrize("row", PUBLISHED)
def test_costs_equal_those_of_once_for_all(row: tuple[int, str, str, str, float, float]) -> None:
    space = get_space("mobilenetv3")
    network = space.lower(published_arch(space, *row[:4]))
    assert macs(network) / 1e6 == pytest.approx(row[4], rel=1e-6)
    assert parameters(network) / 1e6 == pytest.approx(row[5], rel=1e-6)


def test_size_by_the_formula_of_the_paper() -> None:
    size = sum((3 * 3) ** depth for depth in (2, 3, 4)) ** 5
    assert size > 10**19
    assert get_space("mobilenetv3", {"resolutions": [224], "widths": [1.0]}).size == size
    assert get_space("mobilenetv3").size == 25 * 2 * size


def test_blocks_reproduce_mobilenetv3_large() -> None:
    """Howard et al. 2019, table 1: 219 M multiply-adds and 5.4 M parameters at 224 px (5.48 M in public code)."""
    rows: list[tuple[int, int, int, bool, ActivationKind, int]] = [
        (3, 64, 24, False, "relu", 2),
        (3, 72, 24, False, "relu", 1),
        (5, 72, 40, True, "relu", 2),
        (5, 120, 40, True, "relu", 1),
        (5, 120, 40, True, "relu", 1),
        (3, 240, 80, False, "hard_swish", 2),
        (3, 200, 80, False, "hard_swish", 1),
        (3, 184, 80, False, "hard_swish", 1),
        (3, 184, 80, False, "hard_swish", 1),
        (3, 480, 112, True, "hard_swish", 1),
        (3, 672, 112, True, "hard_swish", 1),
        (5, 672, 160, True, "hard_swish", 2),
        (5, 960, 160, True, "hard_swish", 1),
        (5, 960, 160, True, "hard_swish", 1),
    ]
    builder = NetworkBuilder((3, 224, 224))
    x = builder.conv("stem", builder.input, 16, 3, stride=2)
    x = builder.add("first", builder.conv("project", builder.depthwise("depthwise", x, 3), 16), x)
    for index, (kernel, middle, width, squeeze, kind, stride) in enumerate(rows):
        with builder.block(f"blocks.{index}"):
            x = inverted_residual(
                builder,
                x,
                width,
                kernel=kernel,
                middle=middle,
                stride=stride,
                activation=kind,
                squeeze_excite=SqueezeExcite(make_divisible(middle // 4)) if squeeze else None,
            )
    x = builder.global_pool("pool", builder.conv("head", x, 960))
    x = builder.linear("mix", builder.flatten("flat", x), 1280)
    builder.linear("classifier", x, 1000)
    network = builder.build()
    assert parameters(network) == 5_483_032
    assert macs(network) == pytest.approx(219e6, rel=0.015)


def lowered(space: SearchSpace, **options: float) -> Network:
    return space.lower(space.from_options(options))


def test_stages_of_the_published_space() -> None:
    space = get_space("mobilenetv3", {"widths": [1.0]})
    network = space.lower(space.largest())
    depthwise = [n for n in network.nodes if isinstance(n.op, Conv) and n.op.depthwise]
    assert [n.op.stride for n in depthwise if isinstance(n.op, Conv)] == [1] + [2, 1, 1, 1] * 3 + [1] * 4 + [2, 1, 1, 1]
    width = {0: 24, 1: 40, 2: 80, 3: 112, 4: 160}
    side = {0: 56, 1: 28, 2: 14, 3: 14, 4: 7}
    for stage in range(5):
        for block in range(4):
            name = f"stages.{stage}.blocks.{block}"
            nodes = {node.name.removeprefix(f"{name}."): node for node in network.blocks[name]}
            assert nodes["project"].shape == (width[stage], side[stage], side[stage])
            assert ("se_scale" in nodes) == (stage in (1, 3, 4))
            assert ("residual" in nodes) == (block > 0)
            assert nodes["expand_activation"].op == Activation("relu" if stage < 2 else "hard_swish")
            assert nodes["expand"].shape[0] == 6 * network.by_name[nodes["expand"].inputs[0]].shape[0]
            if "se_scale" in nodes:
                assert nodes["se_reduce"].shape[0] == make_divisible(nodes["expand"].shape[0] // 4)
                assert nodes["se_gate"].op == Activation("hard_sigmoid")
                assert nodes["se_pool"].inputs == (f"{name}.depthwise_activation",)
    assert [node.name for node in network.blocks["first"]] == [
        f"first.{part}" for part in ("depthwise", "depthwise_activation", "project", "residual")
    ]
    assert network.by_name["head.expand"].shape == (960, 7, 7)
    features = network.by_name["head.features"].op
    assert isinstance(features, Conv)
    assert (features.out_channels, features.norm, features.bias) == (1280, False, False)
    assert network.output.shape == (1000,)


def test_small_images_keep_their_resolution_longer() -> None:
    space = get_space("mobilenetv3_32")
    network = space.lower(space.largest())
    assert [network.by_name[f"stages.{s}.blocks.0.project"].shape for s in range(4)] == [
        (24, 16, 16),
        (40, 16, 16),
        (80, 8, 8),
        (112, 8, 8),
    ]
    assert network.output.shape == (10,)


def test_every_dimension_changes_what_it_should() -> None:
    space = get_space("mobilenetv3_32")
    assert lowered(space, resolution=20).input.shape == (3, 20, 20)
    assert lowered(space, width=1.0).by_name["head.expand"].shape[0] == 480
    assert lowered(space, width=0.5).by_name["head.expand"].shape[0] == 240
    assert "stages.1.blocks.2" in lowered(space, **{"stages.1.depth": 3}).blocks
    assert "stages.1.blocks.2" not in lowered(space, **{"stages.1.depth": 2}).blocks
    deep = lowered(space, **{"stages.0.blocks.0.kernel": 7, "stages.0.blocks.0.expansion": 4})
    depthwise = deep.by_name["stages.0.blocks.0.depthwise"].op
    assert isinstance(depthwise, Conv)
    assert (depthwise.kernel, depthwise.out_channels) == (7, 4 * deep.by_name["first.residual"].shape[0])


def test_names_tell_the_settings_apart() -> None:
    name = get_space("mobilenetv3_32").name
    assert name == "mobilenetv3_32"
    assert get_space(name, {"classes": 10}).name == name
    other = get_space(name, {"classes": 7})
    assert other.name != name
    assert other.name.startswith(name)
    assert other.name == get_space(name, {"classes": 7}).name
    with pytest.raises(SpaceError, match="given to space"):
        other.lower(get_space(name).smallest())


def test_variant_without_squeeze_excite() -> None:
    space = get_space("mobilenetv3_32", {"squeeze_excite": False, "activation": "relu6"})
    network = space.lower(space.largest())
    assert not [node for node in network.nodes if ".se_" in node.name]
    assert Activation("relu6") in {node.op for node in network.nodes}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": 1}, "classes is 1"),
        ({"classes": 10.5}, "classes is 10.5"),
        ({"classes": "ten"}, "classes is 'ten'"),
        ({"resolutions": []}, "resolutions is"),
        ({"resolutions": [32, 16]}, "ascending"),
        ({"resolutions": [16, 16]}, "ascending"),
        ({"resolutions": [31.5]}, "whole numbers"),
        ({"resolutions": [0, 16]}, "positive"),
        ({"resolutions": "32"}, "resolutions"),
        ({"widths": [-1.0, 1.0]}, "positive"),
        ({"widths": [1.0, 1.001]}, r"\[1.0, 1.001\] round to the same channels"),
        ({"kernels": [3, 4]}, "odd"),
        ({"depths": [0, 1]}, "positive"),
        ({"depths": [1000]}, r"depths is \[1000\]; a stage has 1 to 64 blocks"),
        ({"depths": [1, 65]}, "1 to 64 blocks"),
        ({"expansions": [1, 2]}, "above"),
        ({"expansions": [2, 2.01]}, "each must differ"),
        ({"activation": "tanh"}, "'tanh'; allowed"),
        ({"depth": [1]}, "depth"),
    ],
)
def test_bad_settings_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        get_space("mobilenetv3_32", options)
