from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from search_spaces import SearchSpace
from supernet import Supernet, SupernetError, estimate_statistics


def test_the_first_layers_statistics_are_exact_over_batches_of_unequal_size(tiny_space: SearchSpace) -> None:
    supernet = Supernet(tiny_space)
    images = torch.randn(20, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    arch = tiny_space.largest()
    statistics = estimate_statistics(supernet, arch, [images[:12], images[12:]])
    weight = supernet.shared.get("stem.conv", "weight")
    y = F.conv2d(images, weight, padding=1)
    mean, variance = statistics["stem.conv"]
    torch.testing.assert_close(mean, y.mean((0, 2, 3)))
    torch.testing.assert_close(variance, y.var((0, 2, 3)))


def test_no_images_are_refused(tiny_space: SearchSpace) -> None:
    with pytest.raises(SupernetError, match="at least one batch"):
        estimate_statistics(Supernet(tiny_space), tiny_space.largest(), [])
