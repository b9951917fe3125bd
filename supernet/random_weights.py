"""Networks with random weights: for model files and devices to be tried before anything is trained."""

from __future__ import annotations

import torch
from torch import nn

from search_spaces import Network
from supernet.standalone import StandaloneNetwork


@torch.no_grad()
def random_network(network: Network, seed: int) -> StandaloneNetwork:
    """A network's module with random weights, and the batch-norm statistics that belong to them.

    Its logits are of order 1, for normalised images: activations neither vanish nor grow on the way, as they would with
    statistics of other weights.

    Args:
        network: what to build.
        seed: of weights, and of the noise that the statistics are taken over.

    Returns:
        In evaluation mode; the same for the same seed.
    """
    generator = torch.Generator().manual_seed(seed)
    module = StandaloneNetwork(network)
    for name, parameter in module.named_parameters():
        if parameter.ndim > 1:
            parameter.normal_(0, (2 / parameter[0].numel()) ** 0.5, generator=generator)
        else:
            parameter.normal_(float(name.endswith("weight")), 0.2, generator=generator)
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = None  # the plain mean over what it sees
    module.train()(torch.randn(16, *network.input.shape, generator=generator))
    return module.eval()
