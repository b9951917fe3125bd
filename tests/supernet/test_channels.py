"""Sorting channels: the function stays, the important ones come first."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from search_spaces import Network, NetworkBuilder, SearchSpace, get_space, space_names
from supernet import Supernet, TrainSettings
from supernet.channels import channel_groups, channel_limits, importance_order, permute
from supernet.state import TrainState
from supernet.strategies import SortChannels
from supernet.strategies.base import resolution_position, with_option


def with_random_weights(space: SearchSpace) -> Supernet:
    supernet = Supernet(space)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in supernet.shared.named_parameters():
            if "|norm" in name or "|bias" in name or "|to_" in name:
                parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return supernet


@pytest.mark.parametrize("name", space_names())
def test_the_largest_networks_function_stays_in_every_space(name: str) -> None:
    space = get_space(name)
    # In float64: a batch of two in a deep network turns a rounding difference into one of 1e-5.
    supernet = with_random_weights(space).double()
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    position = resolution_position(space)
    largest = space.largest()
    network = space.lower(largest if position is None else with_option(largest, position, 0))
    groups = channel_groups(space, supernet.shared)
    with torch.no_grad():
        before = supernet(x, network)
        for group in groups:
            order = importance_order(supernet.shared, group)
            assert sorted(order.tolist()) == list(range(group.size))
            permute(dict(supernet.shared.named_parameters()), group, order)
        after = supernet(x, network)
    assert groups
    torch.testing.assert_close(after, before, atol=1e-5, rtol=0)


def test_every_inner_channel_of_a_block_is_found(tiny_space: SearchSpace) -> None:
    found = {group.outputs: group for group in channel_groups(tiny_space, Supernet(tiny_space).shared)}
    block = "stages.3.blocks.1."
    middle = found[tuple(f"{block}{name}" for name in ("depthwise", "expand", "se_expand"))]
    assert middle.inputs == (f"{block}project", f"{block}se_reduce")
    assert middle.judges == (f"{block}project",)
    assert found[(f"{block}se_reduce",)].inputs == (f"{block}se_expand",)
    stream = next(group for outputs, group in found.items() if f"{block}project" in outputs)
    assert "stages.3.blocks.0.project" in stream.outputs
    assert "head.expand" in stream.inputs
    assert "head.classifier" not in {name for group in found.values() for name in group.outputs}


def test_channels_that_a_trained_network_uses_stay_among_its_own(tiny_space: SearchSpace) -> None:
    supernet = with_random_weights(tiny_space)
    options = tiny_space.options_of(tiny_space.largest())
    narrower = tiny_space.from_options({**options, "stages.3.blocks.1.expansion": 3})
    networks = [tiny_space.lower(narrower)]
    group = next(
        group for group in channel_groups(tiny_space, supernet.shared) if group.judges == ("stages.3.blocks.1.project",)
    )
    (limit,) = channel_limits(networks, group)
    order = importance_order(supernet.shared, group, [limit])
    importance = supernet.shared.get(group.judges[0], "weight").abs().sum((0, 2, 3))[order]
    assert set(order[:limit].tolist()) == set(range(limit))
    for part in (importance[:limit], importance[limit:]):
        assert (part.diff() <= 0).all()


def test_positions_that_have_a_meaning_stay(space_of: Callable[[Network], SearchSpace]) -> None:
    builder = NetworkBuilder((3, 4, 4))
    with builder.block("body"):
        left = builder.conv("left", builder.input, 8)
        right = builder.conv("right", builder.input, 8)
        x = builder.concat("concat", (left, right))
        grouped = builder.conv("grouped", builder.conv("before", x, 8), 8, groups=2)
        spread = builder.flatten("spread", builder.conv("last", grouped, 4))
        tokens = builder.transpose("tokens", builder.reshape("flat", builder.conv("wide", x, 6), (6, 16)), (1, 0))
        hidden = builder.linear("hidden", builder.layer_norm("norm", tokens), 12)
        hidden = builder.linear("out", builder.activation("gelu", hidden, "gelu"), 2)
        joined = builder.concat("joined", (spread, builder.flatten("flatten", hidden)))
        builder.linear("classifier", joined, 3)
    network = builder.build()
    space = space_of(network)
    groups = channel_groups(space, Supernet(space).shared)
    assert {group.outputs for group in groups} == {("body.hidden",), ("body.norm", "body.wide")}


def test_momentum_and_average_are_sorted_with_the_weights(tiny_space: SearchSpace) -> None:
    settings = TrainSettings(ema_decay=0.5, precision="float32", gradient_clip=0.0)
    states = [TrainState(tiny_space, settings) for _ in range(2)]
    x = torch.randn(8, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    labels = torch.from_numpy(np.arange(8) % 3)
    for step in range(3):
        if step == 2:
            states[1].prepare(SortChannels())
        for state in states:
            logits = state.supernet(x, tiny_space.largest())
            torch.autograd.backward(torch.nn.functional.cross_entropy(logits, labels))
            state.update(step, 0.05)
    with torch.no_grad():
        for pair in ([state.supernet for state in states], [state.judged for state in states]):
            torch.testing.assert_close(*(one(x, tiny_space.largest()) for one in pair), atol=1e-4, rtol=1e-4)
    names = [sorted(state.tensors()) for state in states]
    assert names[0] == names[1]
    key = "weight:stages/3/blocks/1/project|weight"
    assert not torch.equal(states[0].tensors()[key], states[1].tensors()[key])
