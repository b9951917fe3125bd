from __future__ import annotations

from typing import Any

import pytest

from search_spaces import SpaceError, get_space, macs
from search_spaces.block_kinds import BLOCK_KINDS
from search_spaces.network import Add, Conv

STEM = {"widths": [16], "stride": 2, "activation": "relu"}


def one_block(kind: str, *, widths: int = 16, **settings: Any) -> dict[str, Any]:
    """Options of a space whose only choice is the resolution."""
    stage = {"kinds": [kind], "widths": [widths], **settings}
    if BLOCK_KINDS[kind].inner is not None:
        stage.setdefault("expansions", [2])
    return {"resolutions": [16, 32], "width_multipliers": 1.0, "stem": STEM, "stages": [stage], "head": {}}


@pytest.mark.parametrize("kind", BLOCK_KINDS)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("projection", [False, True])
def test_every_kind_writes_its_shape_and_adds_what_it_should(kind: str, stride: int, projection: bool) -> None:
    if projection and not BLOCK_KINDS[kind].adds:
        pytest.skip("this kind has no shortcut")
    space = get_space("staged", one_block(kind, stride=stride, projection=projection))
    network = space.lower(space.largest())
    nodes = network.blocks["stages.0.blocks.0"]
    assert nodes[-1].shape == (16, 16 // stride, 16 // stride)
    added = [node for node in nodes if isinstance(node.op, Add)]
    always = kind in ("basic", "bottleneck", "double_separable")
    assert bool(added) == (BLOCK_KINDS[kind].adds and (projection or always or stride == 1))
    assert any(node.name.endswith(".shortcut") for node in nodes) == (bool(added) and stride == 2)


def test_a_dimension_with_one_option_is_no_decision() -> None:
    space = get_space("staged", one_block("conv"))
    assert [decision.name for decision in space.decisions] == ["resolution"]


def test_widths_are_exact_unless_they_are_multiplied() -> None:
    options = one_block("conv", widths=12)
    assert (
        get_space("staged", options)
        .lower(get_space("staged", options).smallest())
        .by_name["stages.0.blocks.0.conv"]
        .shape[0]
        == 12
    )
    halved = get_space("staged", {**options, "width_multipliers": [0.5, 2.0]})
    widths = [halved.lower(a).by_name["stages.0.blocks.0.conv"].shape[0] for a in (halved.smallest(), halved.largest())]
    assert widths == [8, 24]


def test_an_expansion_matters_only_to_kinds_that_have_one() -> None:
    stage = {"kinds": ["conv", "bottleneck"], "widths": [16], "expansions": [0.5, 1.0]}
    space = get_space("staged", {**one_block("conv"), "stages": [stage]})
    assert space.size == 2 * (1 + 2)
    block = "stages.0.blocks.0"
    plain = space.from_options({f"{block}.kind": "conv", f"{block}.expansion": 1.0})
    assert plain == space.from_options({f"{block}.kind": "conv"})
    assert f"{block}.conv.conv" in space.lower(plain).by_name


def test_gates_and_kernels_reach_the_blocks() -> None:
    options = one_block("fused_inverted_residual", kernels=[5, 7], squeeze_excite=True)
    space = get_space("staged", options)
    network = space.lower(space.largest())
    fused = network.by_name["stages.0.blocks.0.fused"].op
    assert isinstance(fused, Conv)
    assert (fused.kernel, fused.out_channels) == (7, 32)
    assert network.by_name["stages.0.blocks.0.se_reduce"].shape == (8, 1, 1)
    assert macs(space.lower(space.smallest())) < macs(network)


def test_names_tell_the_settings_apart() -> None:
    assert get_space("staged").name == "staged"
    assert get_space("staged", {"classes": 10}).name == "staged"
    names = {get_space("staged", one_block(kind)).name for kind in BLOCK_KINDS}
    assert len(names) == len(BLOCK_KINDS) and "staged" not in names


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"stage": []},
            "space 'staged' has no key 'stage'; did you mean 'stages'. Allowed: classes, head, resolutions",
        ),
        ({"base_name": "x"}, "no key 'base_name'"),
        ({"stages": []}, "no stages; give at least one"),
        ({"stages": [3]}, "stages.0 is 3; give a mapping"),
        ({"stages": [{"widths": [8]}]}, "stages.0 lacks 'kinds'"),
        ({"stages": [{"kinds": [], "widths": [8]}]}, "give each kind once"),
        ({"stages": [{"kinds": ["conv", "conv"], "widths": [8]}]}, "give each kind once"),
        ({"stages": [{"kinds": ["botleneck"], "widths": [8]}]}, "'botleneck'; did you mean 'bottleneck'. Allowed"),
        ({"stages": [{"kinds": ["conv"], "width": [8]}]}, "stages.0 has no key 'width'; did you mean 'widths'"),
        ({"stages": [{"kinds": ["conv"], "widths": ["8"]}]}, "stages.0: widths is '8'; give a whole number"),
        ({"stages": [{"kinds": ["conv"], "widths": [16, 8]}]}, "ascending"),
        ({"stages": [{"kinds": ["conv"], "widths": [8], "kernels": [1]}]}, "odd values from 3"),
        ({"stages": [{"kinds": ["conv"], "widths": [8], "stride": 0}]}, "stride"),
        (
            {"stages": [{"kinds": ["conv"], "widths": [8], "depths": [1000]}]},
            r"stages.0: depths is \[1000\]; a stage has",
        ),
        ({"stages": [{"kinds": ["conv"], "widths": [8], "expansions": [2]}]}, "leave expansions out"),
        ({"stages": [{"kinds": ["bottleneck"], "widths": [8]}]}, "expansions"),
        ({"stages": [{"kinds": ["bottleneck"], "widths": [8], "expansions": [0.5, 1]}]}, r"round to \[8, 8\]"),
        ({"stages": [{"kinds": ["conv"], "widths": [8], "squeeze_excite": True}]}, "no squeeze_excite; leave it out"),
        ({"stages": [{"kinds": ["conv"], "widths": [8], "projection": True}]}, "no shortcut to project"),
        ({"stages": [{"kinds": ["conv"], "widths": [8], "activation": "tanh"}]}, "'tanh'; .*llowed: .*relu"),
        ({"stages": [{"kinds": ["conv"], "widths": [24, 32]}]}, r"widths \[24, 32\] times 0.5 round to \[16, 16\]"),
        ({"width_multipliers": [0.5, 0.51]}, "give multipliers further apart"),
        ({"stem": {"widths": [16]}}, "stem lacks 'stride', 'activation'"),
        ({"head": {"expand": 0}}, "head.expand"),
        ({"classes": 1}, "classes is 1"),
        ({"classes": True}, "classes is True"),
        ({"resolutions": [32.5]}, "resolutions is 32.5"),
    ],
)
def test_bad_settings_are_refused_with_their_place(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        get_space("staged", changed)
