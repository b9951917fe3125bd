from __future__ import annotations

import pytest

from search_spaces import SpaceError, get_published, get_space, macs, node_parameters, parameters
from search_spaces.network import Conv, LayerNorm, Linear, Network, RelativeBias, Scale


@pytest.fixture(scope="module")
def l1() -> Network:
    published = get_published("efficientformer_l1")
    return published.space.lower(published.architecture)


def test_shapes_of_l1(l1: Network) -> None:
    shapes = [l1.by_name[f"stages.{s}.blocks.0.sum"].shape for s in range(4)]
    assert shapes == [(48, 56, 56), (96, 28, 28), (224, 14, 14), (448, 7, 7)]
    depths = [len({name for name in l1.blocks if name.startswith(f"stages.{s}.blocks")}) for s in range(4)]
    assert depths == [3, 2, 6, 3]
    assert "attention.0" in l1.blocks
    assert "attention.1" not in l1.blocks
    assert l1.by_name["attention.0.scores"].shape == (8, 49, 49)
    assert l1.by_name["attention.0.distances"].op == RelativeBias(8, 7, 7)


def test_parameters_of_l1_part_by_part(l1: Network) -> None:
    def count(*kinds: type) -> int:
        return sum(node_parameters(node) for node in l1.nodes if isinstance(node.op, kinds))

    width, inner = 448, 8 * 128
    assert count(Scale) == 2 * (3 * 48 + 2 * 96 + 6 * 224 + 4 * 448)
    assert count(RelativeBias) == 8 * 49
    assert count(LayerNorm) == 3 * 2 * width
    attention = (width + 1) * (2 * 8 * 32 + inner) + (inner + 1) * width
    mlp = (width + 1) * 4 * width + (4 * width + 1) * width
    assert count(Linear) == attention + mlp + (width + 1) * 1000
    assert sum(node.op.out_channels for node in l1.nodes if isinstance(node.op, Conv)) == 15_960


def test_l3_and_l7_are_members() -> None:
    space = get_space("efficientformer")
    rows = [
        ((64, 128, 320, 512), (4, 4, 12, 2), 4, 3.9e9, 31_406_000),
        ((96, 192, 384, 768), (6, 6, 18, 0), 8, 10.1e9, 82_229_328),
    ]
    for widths, depths, attention, millions, count in rows:
        options: dict[str, int | float | str] = {"attention.depth": attention}
        for s, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            options[f"stages.{s}.width"], options[f"stages.{s}.depth"] = width, depth
        network = space.lower(space.from_options(options))
        assert macs(network) == pytest.approx(millions, rel=0.01)
        biases = sum(node.op.out_channels for node in network.nodes if isinstance(node.op, Conv))
        assert parameters(network) + biases + (widths[-1] + 1) * 1000 == count


def test_scales_after_layers_are_folded_and_those_of_pooling_stay(l1: Network) -> None:
    scales = {node.name for node in l1.nodes if isinstance(node.op, Scale)}
    assert {name for name in scales if "stages." in name and "mixed" in name} == scales - l1.folded_scales


def test_the_grid_of_the_32_px_space_follows_the_resolution() -> None:
    space = get_space("efficientformer_32")
    for resolution, side in ((16, 2), (24, 3), (32, 4)):
        network = space.lower(space.from_options({"resolution": resolution}))
        assert network.by_name["attention.0.distances"].op == RelativeBias(8, side, side)


def test_bad_settings_are_refused() -> None:
    with pytest.raises(SpaceError, match="ascending positive whole numbers"):
        get_space("efficientformer", {"resolutions": [224, 160]})
    with pytest.raises(SpaceError, match="classes is 0"):
        get_space("efficientformer_32", {"classes": 0})
