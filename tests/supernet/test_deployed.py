from __future__ import annotations

import pytest
import torch

from search_spaces import SearchSpace, get_space
from supernet import SupernetError, random_network
from supernet.deployed import deployed_network


@pytest.mark.parametrize("name", ["mobilenetv3_32", "nasbench201", "efficientformer_32", "spaceevo_32"])
def test_it_computes_what_the_module_with_norms_computes(name: str) -> None:
    space = get_space(name)
    network = space.lower(space.smallest())
    module = random_network(network, 0)
    images = torch.randn(2, *network.input.shape, generator=torch.Generator().manual_seed(1))
    deployed = deployed_network(network, module.deployed_weights())
    with torch.no_grad():
        torch.testing.assert_close(deployed(images), module(images), atol=1e-4, rtol=1e-3)
    assert not any(isinstance(layer, torch.nn.BatchNorm2d) for layer in deployed.modules())
    assert not any(parameter.requires_grad for parameter in deployed.parameters())


def test_weights_that_do_not_fit_are_refused(tiny_space: SearchSpace) -> None:
    network = tiny_space.lower(tiny_space.largest())
    weights = random_network(network, 0).deployed_weights()
    with pytest.raises(SupernetError, match=r"'stem.conv.weight' is missing; the network needs shape \(8, 3, 3, 3\)"):
        deployed_network(network, {name: array for name, array in weights.items() if name != "stem.conv.weight"})
    # One channel would be broadcast over all.
    with pytest.raises(SupernetError, match=r"'stem.conv.bias' is of shape \(1,\)"):
        deployed_network(network, {**weights, "stem.conv.bias": weights["stem.conv.bias"][:1]})
