from __future__ import annotations

import pytest

from search_spaces import NetworkBuilder, flash_bytes, macs, node_macs, node_parameters, parameters


def test_small_network_by_hand() -> None:
    builder = NetworkBuilder((3, 8, 8))
    x = builder.conv("conv", builder.input, 16, 3, stride=2)
    x = builder.activation("relu", x, "relu")
    x = builder.depthwise("depthwise", x, 5)
    gate = builder.conv("gate", builder.global_pool("pool", x), 16, norm=False, bias=True)
    x = builder.mul("scale", x, gate)
    x = builder.conv("bare", x, 8, norm=False)
    builder.linear("linear", builder.flatten("flat", x), 10)
    network = builder.build()
    counted = {node.name: (node_macs(network, node), node_parameters(node)) for node in network.nodes}
    by_hand = {
        "input.conv": (16 * 16 * 27, 16 * 27 + 32),
        "input.depthwise": (16 * 16 * 25, 16 * 25 + 32),
        "input.gate": (16 * 16, 16 * 16 + 16),
        "input.bare": (16 * 8 * 16, 16 * 8),
        "input.linear": (128 * 10, 128 * 10 + 10),
    }
    assert {name: cost for name, cost in counted.items() if cost != (0, 0)} == by_hand
    assert macs(network) == sum(cost for cost, _ in by_hand.values())
    assert parameters(network) == sum(count for _, count in by_hand.values())
    weights = 16 * 27 + 16 * 25 + 16 * 16 + 16 * 8 + 1280
    biases = 16 + 16 + 16 + 10
    assert flash_bytes(network) == 4 * (weights + biases)
    assert flash_bytes(network, 8) == weights + 4 * biases
    assert flash_bytes(network, 4) == weights // 2 + 4 * biases


def test_attention_by_hand() -> None:
    builder = NetworkBuilder((8, 4, 4))
    tokens = builder.transpose("tokens", builder.reshape("flat", builder.input, (8, 16)), (1, 0))
    keys = builder.transpose("keys", tokens, (1, 0))
    x = builder.layer_norm("norm", builder.matmul("scores", tokens, keys))
    builder.linear("linear", x, 5, bias=False)
    network = builder.build()
    assert macs(network) == 16 * 16 * 8 + 16 * 16 * 5
    assert parameters(network) == 2 * 16 + 16 * 5
    assert flash_bytes(network, 8) == 16 + 16 * 5 + 4 * 16, "a layer norm's shift is a bias, and stays at 32 bits"


def test_learned_tensors_by_hand() -> None:
    builder = NetworkBuilder((8, 2, 3))
    x = builder.add("sum", builder.scale("scale", builder.conv("conv", builder.input, 8)), builder.input)
    tokens = builder.scale("rows_scale", builder.transpose("tokens", builder.reshape("flat", x, (8, 6)), (1, 0)))
    scores = builder.matmul("scores", tokens, builder.transpose("keys", tokens, (1, 0)))
    scores = builder.relative_bias("distances", builder.reshape("heads", scores, (1, 6, 6)), (2, 3))
    network = builder.build()
    assert parameters(network) == (64 + 16) + 8 + 8 + 2 * 3
    assert macs(network) == 64 * 6 + 36 * 8
    # The first scale is part of the convolution's weights; the biases of all pairs of tokens are written out.
    assert network.folded_scales == {"input.scale"}
    assert flash_bytes(network) == 4 * (64 + 8 + 8 + 36)


@pytest.mark.parametrize("groups", [1, 2, 4, 8])
def test_groups_divide_macs_and_weights(groups: int) -> None:
    builder = NetworkBuilder((8, 5, 5))
    builder.conv("conv", builder.input, 16, 3, groups=groups, norm=False)
    network = builder.build()
    assert macs(network) == 16 * 25 * 9 * 8 // groups
    assert parameters(network) == 16 * 9 * 8 // groups
