from __future__ import annotations

import numpy as np
import pytest

from nas.export import ExportError
from nas.export.weights import bias_of, folded, pairwise_bias, shifted_bias, weight_of
from search_spaces import NetworkBuilder, Node


@pytest.fixture
def nodes() -> dict[str, Node]:
    b = NetworkBuilder((4, 6, 6))
    x = b.conv("conv", b.input, 8, 3, groups=2)
    x = b.conv("bare", x, 8, norm=False)
    x = b.activation("relu", x, "relu")
    x = b.layer_norm("norm", x)
    b.linear("linear", b.flatten("flat", x), 5, bias=False)
    return {node.name.removeprefix("input."): node for node in b.build().nodes}


def test_shapes_follow_the_node(nodes: dict[str, Node]) -> None:
    weights = {"input.conv.weight": np.ones((8, 2, 3, 3), np.float32), "input.conv.bias": np.ones(8, np.float32)}
    assert weight_of(weights, nodes["conv"]).shape == (8, 2, 3, 3)
    bias = bias_of(weights, nodes["conv"])
    assert bias is not None
    assert bias.tolist() == [1] * 8


@pytest.mark.parametrize(("name", "outputs", "shape"), [("bare", 8, (8, 8, 1, 1)), ("linear", 5, (5, 288))])
def test_a_layer_without_bias(nodes: dict[str, Node], name: str, outputs: int, shape: tuple[int, ...]) -> None:
    weights = {f"input.{name}.weight": np.ones(shape, np.float32)}
    assert bias_of(weights, nodes[name]) is None
    assert shifted_bias(weights, nodes[name], 3).tolist() == [3] * outputs


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({}, r"there is no 'input.conv.weight' among the 0 weights"),
        ({"input.conv.weight": np.ones((8, 4, 3, 3), np.float32)}, r"has shape \(8, 4, 3, 3\); the network needs"),
        ({"input.conv.weight": np.full((8, 2, 3, 3), np.inf, np.float32)}, "not finite"),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    nodes: dict[str, Node], weights: dict[str, np.ndarray], message: str
) -> None:
    with pytest.raises(ExportError, match=message):
        weight_of(weights, nodes["conv"])


def test_a_node_without_weights_is_refused(nodes: dict[str, Node]) -> None:
    with pytest.raises(ExportError, match="which has no weight"):
        weight_of({}, nodes["relu"])


def test_scales_are_folded_into_the_layers_before_them() -> None:
    b = NetworkBuilder((2, 4, 4))
    x = b.add("sum", b.scale("scale", b.conv("conv", b.input, 2)), b.input)
    b.linear("classifier", b.scale("kept", b.flatten("flat", x)), 3)
    network = b.build()
    weights = {
        "input.conv.weight": np.ones((2, 2, 1, 1), np.float32),
        "input.conv.bias": np.ones(2, np.float32),
        "input.scale.weight": np.array([2, 3], np.float32),
    }
    fewer, changed = folded(network, weights)
    assert [node.name for node in network.nodes if node not in fewer.nodes] == ["input.scale", "input.sum"]
    assert fewer.by_name["input.sum"].inputs == ("input.conv", "input")
    assert "input.kept" in fewer.by_name
    assert changed["input.conv.weight"].squeeze().tolist() == [[2, 2], [3, 3]]
    assert changed["input.conv.bias"].tolist() == [2, 3]
    assert weights["input.conv.bias"].tolist() == [1, 1]


def test_a_relative_bias_is_written_out_for_every_pair() -> None:
    b = NetworkBuilder((1, 6, 6))
    b.relative_bias("distances", b.input, (2, 3))
    table = np.arange(6, dtype=np.float32).reshape(1, 2, 3)
    pairs = pairwise_bias({"input.distances.weight": table}, b.build().output)
    assert pairs.shape == (1, 6, 6)
    for one in range(6):
        for other in range(6):
            rows, columns = abs(one // 3 - other // 3), abs(one % 3 - other % 3)
            assert pairs[0, one, other] == table[0, rows, columns]
