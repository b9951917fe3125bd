from __future__ import annotations

import torch

from search_spaces import SearchSpace
from supernet import random_network


def test_logits_are_of_order_one_and_the_seed_decides_them(tiny_space: SearchSpace) -> None:
    network = tiny_space.lower(tiny_space.largest())
    images = torch.randn(32, *network.input.shape, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        first, same, other = (random_network(network, seed)(images) for seed in (0, 0, 1))
    assert torch.equal(first, same) and not torch.equal(first, other)
    assert 0.05 < first.std() < 20


def test_an_image_is_judged_alone(tiny_space: SearchSpace) -> None:
    """It comes in evaluation mode, with statistics of its own."""
    module = random_network(tiny_space.lower(tiny_space.smallest()), 0)
    images = torch.randn(4, *module.network.input.shape)
    with torch.no_grad():
        torch.testing.assert_close(module(images)[:1], module(images[:1]), atol=1e-5, rtol=1e-4)
