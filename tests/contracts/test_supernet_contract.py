"""Every space in the registry can be trained as one network: any member runs on the shared weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from search_spaces import get_space, space_names
from supernet import Supernet, estimate_statistics


def cases() -> list[object]:
    """Spaces of large images are slow: their supernets hold up to some 50 M weights."""
    return [n if n.endswith("_32") else pytest.param(n, marks=pytest.mark.slow) for n in space_names()]


@pytest.mark.parametrize("name", cases())
def test_members_run_on_shared_weights_and_can_be_cut_out(name: str) -> None:
    space = get_space(name)
    supernet = Supernet(space)
    rng = np.random.default_rng(0)
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    for arch in [space.smallest(), *(space.sample(rng) for _ in range(3))]:
        network = space.lower(arch)
        size = network.input.shape[-1]
        x = torch.nn.functional.interpolate(images, size=(size, size))
        statistics = estimate_statistics(supernet, network, [x])
        with torch.no_grad():
            logits = supernet(x, network, statistics)
            assert logits.shape == (2, *network.output.shape)
            assert bool(logits.isfinite().all())
            torch.testing.assert_close(supernet.extract(network, statistics)(x), logits, atol=1e-4, rtol=1e-4)
