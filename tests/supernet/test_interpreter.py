from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from search_spaces import Network, NetworkBuilder, SearchSpace, get_space, macs, parameters
from search_spaces.network import Linear
from supernet import NormStatistics, StandaloneNetwork, Supernet, estimate_statistics
from supernet.data import resize


def counted_macs(module: StandaloneNetwork, x: torch.Tensor) -> int:
    """Multiply-accumulates of one image, from what the layers really compute."""
    counts: list[int] = []

    def count(layer: nn.Module, _inputs: object, output: torch.Tensor) -> None:
        per_output = layer.weight[0].numel()  # type: ignore[operator, index]
        counts.append(output[0].numel() * per_output)

    hooks = [m.register_forward_hook(count) for m in module.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    module(x[:1])
    for hook in hooks:
        hook.remove()
    return sum(counts)


@pytest.mark.slow
def test_extracted_modules_compute_what_the_supernet_computes_and_cost_what_is_counted() -> None:
    space = get_space("mobilenetv3_32")
    supernet = Supernet(space, seed=3)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in supernet.shared.named_parameters():
            if "|to_" in name or "|norm" in name or "|bias" in name:
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    images = torch.randn(8, 3, 32, 32, generator=generator)
    rng = np.random.default_rng(1)
    for arch in [space.smallest(), space.largest(), *(space.sample(rng) for _ in range(198))]:
        network = space.lower(arch)
        statistics = estimate_statistics(supernet, network, [images])
        module = supernet.extract(arch, statistics)
        x = resize(images, network.input.shape[-1])
        with torch.no_grad():
            torch.testing.assert_close(module(x), supernet(images, arch, statistics), atol=1e-5, rtol=0)
        assert counted_macs(module, x) == macs(network)
        assert sum(p.numel() for p in module.parameters()) == parameters(network)


def test_nothing_is_stored_on_the_supernet_by_a_forward_pass(tiny_space: SearchSpace) -> None:
    supernet = Supernet(tiny_space)
    before = {name: value.clone() for name, value in supernet.state_dict().items()}
    supernet(torch.randn(2, 3, 12, 12), tiny_space.largest())
    after = supernet.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_training_mode_normalises_by_the_batch(tiny_space: SearchSpace) -> None:
    supernet = Supernet(tiny_space)
    images = torch.randn(128, 3, 12, 12)
    arch = tiny_space.largest()
    statistics = estimate_statistics(supernet, arch, [images])
    with torch.no_grad():
        by_batch = supernet(images, arch)
        by_statistics = supernet(images, arch, statistics)
    # The estimated variance is the unbiased one; the batch's own is not.
    torch.testing.assert_close(by_batch, by_statistics, atol=0.02, rtol=0.02)


def test_every_operation_of_the_vocabulary_runs_and_extracts_to_the_same(
    space_of: Callable[[Network], SearchSpace],
) -> None:
    builder = NetworkBuilder((3, 8, 8))
    with builder.block("body"):
        x = builder.conv("stem", builder.input, 8, 3, stride=2)
        x = builder.activation("swish", x, "swish")
        y = builder.pool("max", x, "max", 3, 1)
        y = builder.concat("concat", (y, builder.pool("average", x, "average", 3, 1)))
        y = builder.conv("mix", y, 8, norm=False, bias=True)
        y = builder.add("add", y, x)
        y = builder.mul("mul", y, builder.activation("gate", builder.global_pool("pool", y), "sigmoid"))
        tokens = builder.transpose("tokens", builder.reshape("flat", y, (8, 16)), (1, 0))
        tokens = builder.layer_norm("norm", tokens)
        keys = builder.transpose("keys", builder.linear("key", tokens, 4), (1, 0))
        scores = builder.matmul("scores", builder.linear("query", tokens, 4), keys, scale=0.5)
        mixed = builder.matmul("attend", builder.softmax("softmax", scores), builder.linear("value", tokens, 8))
        mixed = builder.activation("gelu", mixed, "gelu")
        builder.linear("classifier", builder.flatten("flatten", mixed), 5)
    network = builder.build()
    space = space_of(network)
    supernet = Supernet(space)
    images = torch.randn(4, 3, 8, 8)
    statistics: NormStatistics = estimate_statistics(supernet, network, [images])
    with torch.no_grad():
        expected = supernet(images, space.largest(), statistics)
        got = supernet.extract(network, statistics)(images)
    assert expected.shape == (4, 5)
    torch.testing.assert_close(got, expected, atol=1e-6, rtol=1e-5)
    weights = supernet.extract(network, statistics).deployed_weights()
    linear = [node.name for node in network.nodes if isinstance(node.op, Linear)]
    assert all(f"{name}.bias" in weights for name in linear)
    assert weights["body.stem.bias"].shape == (8,)
    assert all(value.dtype == np.float32 and value.flags.c_contiguous for value in weights.values())


def test_deployed_weights_fold_the_norm_into_the_convolution(tiny_space: SearchSpace) -> None:
    supernet = Supernet(tiny_space)
    images = torch.randn(8, 3, 12, 12)
    module = supernet.extract(tiny_space.largest(), estimate_statistics(supernet, tiny_space.largest(), [images]))
    weights = module.deployed_weights()
    folded = torch.nn.functional.conv2d(
        images, torch.from_numpy(weights["stem.conv.weight"]), torch.from_numpy(weights["stem.conv.bias"]), 1, 1
    )
    with torch.no_grad():
        torch.testing.assert_close(folded, module.layers["stem/conv"](images), atol=1e-5, rtol=1e-4)


def test_the_seed_decides_the_initial_weights(tiny_space: SearchSpace) -> None:
    first, same, other = (Supernet(tiny_space, seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)
