"""A network as it is deployed, in PyTorch: batch norms folded in, and nothing left of how it was described."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from search_spaces import Network
from search_spaces.network import Conv, LayerNorm, Linear, Node, RelativeBias, Scale
from supernet.errors import SupernetError
from supernet.operations import pairwise_bias
from supernet.standalone import StandaloneNetwork, conv_and_norm, layer_key


@torch.no_grad()
def deployed_network(network: Network, weights: Mapping[str, NDArray[np.float32]]) -> nn.Module:
    """A module that computes straight through its layers, as if written by hand.

    Args:
        network: what to build.
        weights: what ``StandaloneNetwork.deployed_weights`` gives.

    Returns:
        In evaluation mode, without gradients; takes images ``(batch, channels, height, width)`` and gives logits
        ``(batch, classes)``.

    Raises:
        SupernetError: a weight is missing or of another shape than the network needs.
    """
    module = StandaloneNetwork(Network(tuple(map(_without_norm, network.nodes))))
    for node in module.network.nodes:
        key = layer_key(node.name)
        match node.op:
            case Conv():
                _fill(conv_and_norm(module.layers[key])[0], node.name, weights)
            case Linear() | LayerNorm():
                _fill(module.layers[key], node.name, weights)
            case Scale():
                weight = _weight(weights, f"{node.name}.weight", (node.op.features,))
                module.layers[key] = _Product(weight.view(-1, 1, 1) if len(node.shape) == 3 else weight)
            case RelativeBias():
                table = _weight(weights, f"{node.name}.weight", (node.op.heads, node.op.height, node.op.width))
                module.layers[key] = _Sum(pairwise_bias(table))
            case _:
                pass
    return torch.fx.symbolic_trace(module.eval().requires_grad_(requires_grad=False))


class _Product(nn.Module):
    """Times a vector."""

    def __init__(self, factor: Tensor) -> None:
        super().__init__()
        self.factor = nn.Parameter(factor)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


class _Sum(nn.Module):
    """Plus a table."""

    def __init__(self, summand: Tensor) -> None:
        super().__init__()
        self.summand = nn.Parameter(summand)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.summand


def _without_norm(node: Node) -> Node:
    if isinstance(node.op, Conv) and node.op.norm:
        return replace(node, op=replace(node.op, norm=False, bias=True))
    return node


def _fill(layer: nn.Module, name: str, weights: Mapping[str, NDArray[np.float32]]) -> None:
    for kind, parameter in layer.named_parameters():
        parameter.copy_(_weight(weights, f"{name}.{kind}", tuple(parameter.shape)))


def _weight(weights: Mapping[str, NDArray[np.float32]], name: str, shape: tuple[int, ...]) -> Tensor:
    if name not in weights or weights[name].shape != shape:
        found = f"of shape {weights[name].shape}" if name in weights else "missing"
        raise SupernetError(f"the weight {name!r} is {found}; the network needs shape {shape}")
    return torch.from_numpy(np.array(weights[name], np.float32))
