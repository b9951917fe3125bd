from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latency_predictors import PredictorError, feature_matrix, feature_names, features
from latency_predictors.features import KINDS, node_kind, node_work
from search_spaces import Network, NetworkBuilder, get_space, macs, node_macs, node_parameters, space_names
from search_spaces.network import Activation, Conv, Input, LayerNorm, Linear, Node, RelativeBias, Scale, Sub


def named(network: Network) -> dict[str, float]:
    return dict(zip(feature_names(), features(network).tolist(), strict=True))


def test_names_are_unique_and_as_many_as_values() -> None:
    space = get_space("mobilenetv3_32")
    assert len(set(feature_names())) == len(feature_names())
    assert features(space.lower(space.smallest())).shape == (len(feature_names()),)


@pytest.mark.parametrize("name", space_names())
def test_every_space_has_the_same_features_and_adds_up(name: str) -> None:
    space = get_space(name)
    rng = np.random.default_rng(0)
    networks = [space.lower(space.sample(rng)) for _ in range(5)]
    matrix = feature_matrix(networks)
    assert matrix.shape == (5, len(feature_names()))
    assert np.isfinite(matrix).all()
    for network, row in zip(networks, matrix, strict=True):
        value = dict(zip(feature_names(), row.tolist(), strict=True))
        assert value["total.macs"] == macs(network) == sum(value[f"{kind}.macs"] for kind in KINDS)
        assert value["total.count"] == len(network.nodes) - 1 == sum(value[f"{kind}.count"] for kind in KINDS)
        assert value["total.macs"] == sum(value[f"level_{level}.macs"] for level in range(6))
        assert (features(network) == row).all()


def test_small_network_by_hand() -> None:
    builder = NetworkBuilder((3, 8, 8))
    x = builder.conv("conv", builder.input, 16, 3, stride=2)
    x = builder.activation("relu", x, "relu")
    y = builder.activation("swish", builder.depthwise("depthwise", x, 5), "hard_swish")
    y = builder.conv("pointwise", builder.add("add", y, x), 24)
    builder.linear("linear", builder.flatten("flat", builder.global_pool("pool", y)), 10)
    value = named(builder.build())
    assert value["conv.macs"] == 16 * 16 * 27
    assert value["conv.weights"] == 16 * 27
    assert value["conv.elements"] == 3 * 64 + 16 * 16
    assert value["rectifier.count"] == value["activation.count"] == value["layout.count"] == 1
    assert value["depthwise.macs"] == value["depthwise.macs.kernel_5"] == 16 * 16 * 25
    assert value["depthwise.count.kernel_5"] == 1
    assert value["depthwise.count.kernel_3"] == 0
    assert value["elementwise.elements"] == 3 * 256
    assert value["pointwise.macs"] == 16 * 16 * 24
    assert value["tiled_macs"] == 16 * 24 // 24 * 32 * 16 + 32 * 16 * 16
    assert value["vector.macs"] == 240
    assert value["level_0.macs"] == value["conv.macs"]
    assert value["level_1.macs"] == value["depthwise.macs"] + value["pointwise.macs"]
    assert value["level_5.macs"] == 240
    assert value["input_elements"] == 192
    assert value["largest_node.elements"] == 3 * 256
    assert value["largest_node.macs"] == 16 * 16 * 27
    assert value["depth"] == 9


def test_attention_and_grouped_convolutions_have_kinds() -> None:
    builder = NetworkBuilder((8, 4, 4))
    x = builder.conv("grouped", builder.input, 8, 3, groups=2)
    tokens = builder.transpose("tokens", builder.reshape("flat", x, (8, 16)), (1, 0))
    scores = builder.softmax("softmax", builder.matmul("scores", tokens, builder.transpose("t", tokens, (1, 0))))
    builder.linear("linear", builder.layer_norm("norm", builder.matmul("mixed", scores, tokens)), 5)
    value = named(builder.build())
    assert value["grouped.macs"] == 8 * 16 * 4 * 9
    assert value["matmul.macs"] == 2 * 16 * 16 * 8
    assert value["norm.count"] == 2
    assert value["layout.count"] == 3
    assert value["pointwise.macs"] == 16 * 8 * 5


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), name=st.sampled_from(space_names()))
def test_work_agrees_with_the_counters(seed: int, name: str) -> None:
    space = get_space(name)
    network = space.lower(space.sample(np.random.default_rng(seed)))
    for node in network.nodes[1:]:
        sources = [network.by_name[source].shape for source in node.inputs]
        count, weights = node_work(node.op, node.shape, sources)
        assert count == node_macs(network, node)
        if isinstance(node.op, Conv):
            assert weights == node_parameters(node) - node.op.out_channels * (2 * node.op.norm + node.op.bias)
        if isinstance(node.op, Linear):
            assert weights == node_parameters(node) - node.op.out_features * node.op.bias


def test_layer_norm_reads_its_scale_and_shift() -> None:
    assert node_work(LayerNorm(8), (16, 8), [(16, 8)]) == (0, 16)
    assert node_work(Scale(8), (16, 8), [(16, 8)]) == (0, 8)
    assert node_work(RelativeBias(2, 3, 3), (2, 9, 9), [(2, 9, 9)]) == (0, 2 * 81)


def test_kinds_of_activation() -> None:
    assert node_kind(Activation("relu6"), (4, 2, 2)) == "rectifier"
    assert node_kind(Activation("gelu"), (4, 2, 2)) == "activation"
    assert {node_kind(op, (2, 9, 9)) for op in (Sub(), Scale(2), RelativeBias(2, 3, 3))} == {"elementwise"}


def test_what_has_no_features_is_refused() -> None:
    with pytest.raises(PredictorError, match="at least one"):
        feature_matrix([])
    with pytest.raises(PredictorError, match="without any operation"):
        feature_matrix([Network((Node("input", Input(), (), (3, 8, 8), "input"),))])
    with pytest.raises(PredictorError, match="has no kind"):
        node_kind(Input(), (3, 8, 8))
