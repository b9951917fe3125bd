from __future__ import annotations

import numpy as np
import pytest

from search_spaces import Architecture, SpaceError, get_space, macs, parameters
from search_spaces.network import Activation, Conv
from search_spaces.space import Option
from search_spaces.spaceevo import MOBILE, SMALL_IMAGES, VNNI, Hyperspace
from search_spaces.staged import StagedSpace

# Networks of the authors' release: space, member, and depths, kernels, widths and expansions as they write them.
RELEASED = {
    "SEQnet@pixel4-A4": (
        "spaceevo_mobile",
        "122222-155400",
        "d1#2#2#3#4#4#5#1_k3#3#3#3#3#3#3#5#3#5#5#3#3#3#3#5#7#5#3#5#3#3"
        "_w24#16#24#32#32#72#64#64#112#96#104#104#152#144#144#152#224#216#208#224#208#296"
        "_e0#1.0#1.0#6.0#8.0#6.0#3.0#3.0#6.0#6.0#3.0#3.0#8.0#8.0#6.0#3.0#8.0#6.0#6.0#3.0#3.0#6.0_r224",
    ),
    "SEQnet@vnni-A4": (
        "spaceevo_vnni",
        "151122-023231",
        "d1#1#3#3#4#5#4#2_k3#3#3#5#3#3#3#3#5#5#5#5#5#3#3#3#5#3#5#5#3#3#3"
        "_w16#32#32#48#32#64#80#80#128#128#144#128#160#144#144#144#176#256#272#272#272#336#320"
        "_e0#0.5#4.0#8.0#6.0#4.0#2.0#2.0#6.0#8.0#6.0#6.0#8.0#8.0#6.0#4.0#6.0#8.0#8.0#6.0#4.0#8.0#6.0_r224",
    ),
}


def released(space: StagedSpace, text: str) -> Architecture:
    """The architecture of a code of the authors; raises where it takes an option that the space does not have."""
    parts = {part[0]: part[1:].split("#") for part in text.split("_")}
    depths = [int(depth) for depth in parts["d"]]
    rows = iter(zip(parts["k"], parts["w"], parts["e"], strict=True))
    options: dict[str, Option] = {"resolution": int(parts["r"][0]), "stem.width": int(next(rows)[1])}
    for s, depth in enumerate(depths[1:]):
        options[f"stages.{s}.depth"] = depth
        for b in range(depth):
            kernel, width, expansion = next(rows)
            block = f"stages.{s}.blocks.{b}"
            options[f"{block}.width"] = int(width)
            if len(space.settings.stages[s].kernels) > 1:
                options[f"{block}.kernel"] = int(kernel)
            if len(space.settings.stages[s].expansions) > 1:
                options[f"{block}.expansion"] = float(expansion)
    return space.from_options(options)


@pytest.mark.parametrize("name", RELEASED)
def test_released_networks_are_in_the_spaces_that_they_were_found_in(name: str) -> None:
    space_name, member, text = RELEASED[name]
    space = get_space(space_name, {"member": member})
    assert isinstance(space, StagedSpace)
    network = space.lower(released(space, text))
    assert network.input.shape == (3, 224, 224)
    assert network.by_name["head.expand"].shape == (1280, 7, 7)
    assert 5e8 < macs(network) < 3e9
    assert 5e6 < parameters(network) < 5e7


def test_hyperspaces_have_the_published_number_of_members() -> None:
    assert len(MOBILE.kinds) == 7
    assert [row.windows for row in MOBILE.rows] == [2, 6, 6, 7, 5, 4]
    assert MOBILE.size == 7**6 * 2 * 6 * 6 * 7 * 5 * 4
    assert [row.windows for row in VNNI.rows] == [2, 4, 4, 4, 4, 4]
    assert VNNI.size == 6**6 * 2 * 4**5


@pytest.mark.parametrize("hyperspace", [MOBILE, VNNI, SMALL_IMAGES], ids=lambda h: h.base.base_name)
def test_members_differ_in_kinds_and_windows(hyperspace: Hyperspace) -> None:
    rng = np.random.default_rng(0)
    codes = [hyperspace.sample(rng) for _ in range(20)]
    base = hyperspace.base
    names = set()
    for code in codes:
        space = hyperspace.member(code, classes=7, resolutions=base.resolutions[:1])
        names.add(space.name)
        kinds, windows = code.split("-")
        for stage, row, kind, window in zip(space.settings.stages[1:], hyperspace.rows, kinds, windows, strict=True):
            assert stage.kinds == (hyperspace.kinds[int(kind)].block,)
            assert stage.widths == row.widths[int(window) :][: row.window]
        assert space.lower(space.smallest()).output.shape == (7,)
    assert len(names) == len(set(codes))


def test_blocks_project_their_input_wherever_shapes_differ() -> None:
    space = get_space("spaceevo_32", {"member": "1111-0000"})
    block = "stages.1.blocks.1"
    options: dict[str, Option] = {"stages.1.depth": 2, "stages.1.blocks.0.width": 16, f"{block}.width": 24}
    nodes = space.lower(space.from_options(options)).by_name
    assert nodes[f"{block}.residual"].inputs == (f"{block}.project", f"{block}.shortcut")
    same = space.lower(space.from_options({**options, f"{block}.width": 16})).by_name
    assert f"{block}.shortcut" not in same
    assert f"{block}.residual" in same


def test_stacked_blocks_have_as_many_windows_of_three_as_see_the_kernel() -> None:
    space = get_space("spaceevo_32", {"member": "6666-0000"})
    for kernel, count in ((3, 1), (5, 2), (7, 3)):
        network = space.lower(space.from_options({"stages.2.blocks.0.kernel": kernel}))
        windows = [n.op for n in network.blocks["stages.2.blocks.0"] if isinstance(n.op, Conv) and n.op.depthwise]
        assert [window.kernel for window in windows] == [3] * count
        assert [window.stride for window in windows] == [2] + [1] * (count - 1)
        assert [window.norm for window in windows] == [False] * (count - 1) + [True]


def test_activations_are_those_of_the_kind() -> None:
    space = get_space("spaceevo_32", {"member": "1243-0000"})
    network = space.lower(space.largest())
    kinds = {name: {n.op.kind for n in nodes if isinstance(n.op, Activation)} for name, nodes in network.blocks.items()}
    assert kinds["stages.1.blocks.0"] == {"relu6"}
    assert kinds["stages.2.blocks.0"] == {"swish", "relu", "hard_sigmoid"}
    assert kinds["stages.4.blocks.0"] == {"relu"}


@pytest.mark.parametrize(
    ("member", "message"),
    [
        ("1222-155400", "give 6 digits, '-' and 6 digits"),
        ("722222-155400", "stage 1 has kind 7 and window 1; allowed: kinds 0 to 6 and windows 0 to 1"),
        ("122222-155404", "stage 6 has kind 2 and window 4"),
    ],
)
def test_codes_of_no_member_are_refused(member: str, message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        get_space("spaceevo_mobile", {"member": member})
