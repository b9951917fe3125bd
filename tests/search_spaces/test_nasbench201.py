from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from search_spaces import Architecture, SpaceError, get_space, macs, parameters
from search_spaces.nasbench201 import EDGES, OPERATIONS, NASBench201Space
from search_spaces.network import Conv

NORM_MACS, NORM_WEIGHTS = 64 * 8 * 8, 64
"""What the norm before the classifier adds to the published counts."""


@pytest.fixture(scope="module")
def space() -> NASBench201Space:
    return NASBench201Space()


def cell(space: NASBench201Space, **edges: str) -> Architecture:
    """A cell by its edges, such as ``e03="skip_connect"``."""
    options = {f"edges.{name[1]}_to_{name[2]}": operation for name, operation in edges.items()}
    return space.from_options(dict(options))


def check_costs(path: Path, numbers: NDArray[np.int64]) -> None:
    table = np.load(path)
    space = NASBench201Space()
    counted: dict[Architecture, tuple[int, int]] = {}
    for number in numbers:
        arch = space.from_string(str(table["arch_str"][number]))
        assert space.to_string(arch) == table["arch_str"][number]
        canonical = space.canonical(arch)
        if canonical == space.smallest():
            assert not table["active_edge"][number].any()
            continue
        if canonical not in counted:
            network = space.lower(canonical)
            counted[canonical] = (macs(network) - NORM_MACS, parameters(network) - NORM_WEIGHTS)
        millions = [np.float32(count / 1e6) for count in counted[canonical]]
        assert millions == [table["flops_active_m"][number], table["params_active_m"][number]]


def test_costs_equal_those_of_the_published_tables(data_dir: Path) -> None:
    path = data_dir / "latency" / "nasbench201.npz"
    check_costs(path, np.random.default_rng(0).choice(15_625, 60, replace=False))


@pytest.mark.slow
def test_costs_of_every_tenth_cell_equal_those_of_the_published_tables(data_dir: Path) -> None:
    check_costs(data_dir / "latency" / "nasbench201.npz", np.arange(0, 15_625, 10))


def test_edges_and_operations_are_those_of_the_tables(data_dir: Path) -> None:
    table = np.load(data_dir / "latency" / "nasbench201.npz")
    assert table["edge_order"].tolist() == [list(edge) for edge in EDGES]
    assert set(table["op_names"]) == set(OPERATIONS)
    order = np.array([OPERATIONS.index(str(name)) for name in table["op_names"]])
    space = NASBench201Space()
    indices = order[table["op_idx"]].astype(np.int64)
    matters = space.active(indices) & (indices > 0)
    assert (matters == table["active_edge"]).all()


def test_costs_by_hand(space: NASBench201Space) -> None:
    network = space.lower(cell(space, e03="skip_connect"))
    assert macs(network) == 7_783_040 + NORM_MACS
    assert parameters(network) == 73_306 + NORM_WEIGHTS
    with_conv = space.lower(cell(space, e03="nor_conv_1x1"))
    assert macs(with_conv) - macs(network) == 3_932_160
    assert parameters(with_conv) - parameters(network) == 28_000


def test_what_is_on_no_path_is_not_lowered_and_names_stay(space: NASBench201Space) -> None:
    dead = space.lower(cell(space, e03="nor_conv_3x3", e01="nor_conv_3x3", e12="avg_pool_3x3"))
    alone = space.lower(cell(space, e03="nor_conv_3x3"))
    assert dead == alone
    alive = space.lower(cell(space, e03="nor_conv_3x3", e01="nor_conv_3x3", e13="skip_connect"))
    assert {n.name for n in alone.nodes if isinstance(n.op, Conv)} < {n.name for n in alive.nodes}
    assert "stages.2.cells.4.0_to_3.conv_3x3" in alone.by_name
    assert "stages.2.cells.4.sum_1_to_3" in alive.by_name


def test_a_skip_can_sit_in_two_places(space: NASBench201Space) -> None:
    one = cell(space, e01="nor_conv_3x3", e13="skip_connect")
    other = cell(space, e01="nor_conv_3x3", e12="skip_connect", e23="skip_connect")
    assert one == other
    assert one != cell(space, e03="nor_conv_3x3"), "a convolution's weights belong to its edge"
    assert cell(space, e01="avg_pool_3x3", e13="skip_connect") == cell(space, e03="avg_pool_3x3")


def test_a_cell_that_passes_nothing_is_a_constant(space: NASBench201Space) -> None:
    arch = cell(space, e01="nor_conv_3x3", e02="nor_conv_3x3")
    assert arch == space.smallest()
    network = space.lower(arch)
    assert parameters(network) == 6 * 10 + 10
    assert network.output.shape == (10,)
    assert {node.block for node in network.nodes} == {"input", "constant"}


def test_changing_one_edge_that_matters_always_changes_the_network(space: NASBench201Space) -> None:
    every = np.array(list(product(range(len(OPERATIONS)), repeat=len(EDGES))), np.int64)
    cells = np.unique(space.canonical_indices(every), axis=0)
    assert len(cells) == space.size == 7810
    matters = space.active(cells)
    for edge in range(len(EDGES)):
        for step in range(1, len(OPERATIONS)):
            moved = cells[matters[:, edge]].copy()
            before = moved.copy()
            moved[:, edge] = (moved[:, edge] + step) % len(OPERATIONS)
            assert (space.canonical_indices(moved) != before).any(1).all()


@pytest.mark.parametrize("text", ["", "|none~0|", "|none~1|+|none~0|none~1|+|none~0|none~1|none~2|", "|conv~0|+|"])
def test_strings_of_other_things_are_refused(space: NASBench201Space, text: str) -> None:
    with pytest.raises(SpaceError, match="is no cell of NAS-Bench-201; write it as"):
        space.from_string(text)


@pytest.mark.parametrize(
    "options", [{"classes": 1}, {"resolution": 2}, {"cells": 0}, {"channels": 1.5}, {"classes": "ten"}]
)
def test_bad_settings_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(SpaceError, match=next(iter(options))):
        get_space("nasbench201", options)


def test_names_tell_the_settings_apart() -> None:
    assert get_space("nasbench201").name == "nasbench201"
    assert get_space("nasbench201", {"classes": 100}).name != get_space("nasbench201", {"cells": 1}).name
