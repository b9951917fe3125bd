"""Members of every kind of space on shared weights, small."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from search_spaces import get_space, parameters
from supernet import Supernet, estimate_statistics

SPACES: list[tuple[str, dict[str, Any]]] = [
    ("ofa_resnet50", {"resolutions": [48], "widths": [0.5, 0.65]}),
    ("resnet", {"resolutions": [48], "widths": [0.5, 0.65]}),
    ("resnet_32", {"resolutions": [16, 20]}),
    ("attentivenas", {"resolutions": [32]}),
    ("attentivenas_32", {"resolutions": [16, 20]}),
    ("efficientformer_32", {}),
]


@pytest.mark.parametrize(("name", "options"), SPACES)
def test_any_member_runs_on_the_shared_weights_and_extracts_to_the_same(name: str, options: dict[str, Any]) -> None:
    space = get_space(name, {"classes": 5, **options})
    supernet = Supernet(space)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for key, parameter in supernet.shared.named_parameters():
            if parameter.dim() in (1, 3) or "|to_" in key:
                parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    images = torch.randn(8, 3, 32, 32, generator=generator)
    rng = np.random.default_rng(1)
    for arch in (space.smallest(), space.largest(), *(space.sample(rng) for _ in range(4))):
        statistics = estimate_statistics(supernet, arch, [images])
        module = supernet.extract(arch, statistics)
        x = torch.nn.functional.interpolate(images, module.network.input.shape[-1], mode="nearest")
        with torch.no_grad():
            torch.testing.assert_close(module(x), supernet(x, arch, statistics), atol=1e-4, rtol=1e-4)
        assert sum(p.numel() for p in module.parameters()) == parameters(module.network)


def test_every_weight_of_an_attention_network_is_trained() -> None:
    space = get_space("efficientformer_32")
    supernet = Supernet(space)
    supernet(torch.randn(2, 3, 32, 32), space.largest()).square().sum().backward()
    for name, parameter in supernet.shared.named_parameters():
        assert parameter.grad is not None, name
        # Softmax takes away whatever a key's bias adds to all scores of a query.
        assert parameter.grad.abs().max() > 0 or "key|bias" in name, name


def test_learned_tensors_start_as_published_and_are_not_decayed() -> None:
    shared = Supernet(get_space("efficientformer_32")).shared
    assert (shared.get("attention.0.mixed_scale", "weight") == 1e-5).all()
    assert (shared.get("attention.0.distances", "weight") == 0).all()
    assert not shared.is_decayed("attention/0/mixed_scale|weight")
    assert not shared.is_decayed("attention/0/distances|weight")
    assert shared.is_decayed("attention/0/query|weight")
