"""NASFLAT's predictor (Akhauri and Abdelfattah 2024, section 4; sizes of the authors' public code).

A device's embedding is part of every operation's. A first pass over the graph refines the operations, a second one
predicts. Each layer is the mean of a graph convolution gated by the operations and of graph attention.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from peers.nasflat_encoding import INPUT, NasflatEncoding

_OPERATION, _DEVICE, _NODE, _HIDDEN, _WIDTH = 40, 8, 48, 96, 128
_REFINING, _PREDICTING = 2, 3
_BESIDE, _BESIDE_WIDTH = 48, 128
_HEAD = 200
_DROPOUT = 0.1


class NasflatModel(nn.Module):
    """A score of networks on devices, larger where slower.

    Args:
        encoding: of the networks.
        devices: number of devices, those to come included.
    """

    def __init__(self, encoding: NasflatEncoding, devices: int) -> None:
        super().__init__()
        self.operations = nn.Embedding(encoding.kinds, _OPERATION, padding_idx=INPUT)
        self.devices = nn.Embedding(devices, _DEVICE)
        self.output_device = nn.Parameter(torch.randn(_DEVICE))
        self.input_node = nn.Parameter(torch.randn(1, _NODE))
        self.other_node = nn.Parameter(torch.zeros(1, _NODE))
        self.hidden = nn.Linear(_NODE, _HIDDEN)
        sizes = [_HIDDEN, *[_WIDTH] * _PREDICTING]
        self.refining = nn.ModuleList(Layer(*size) for size in pairwise(sizes[: _REFINING + 1]))
        self.predicting = nn.ModuleList(Layer(*size) for size in pairwise(sizes))
        self.summary = _perceptron([_WIDTH, _WIDTH, _WIDTH, _WIDTH])
        self.refined = _perceptron([_OPERATION + _DEVICE + _WIDTH, _WIDTH, _OPERATION + _DEVICE])
        beside = encoding.beside.shape[1]
        self.beside = _perceptron([beside, _BESIDE_WIDTH, _BESIDE_WIDTH, _BESIDE], dropout=_DROPOUT)
        self.head = _perceptron([_WIDTH + _BESIDE, _HEAD, _HEAD, _HEAD, 1], dropout=_DROPOUT)

    def forward(self, networks: NasflatEncoding, device: Tensor) -> Tensor:
        """Scores, shape ``(networks,)``; ``device`` is the index of the one each network runs on."""
        nodes = networks.operations.shape[1]
        kinds = torch.cat([self.operations(networks.operations), self._devices(device, nodes)], dim=2)
        start = self.hidden(torch.cat([self.input_node, self.other_node.expand(nodes - 1, _NODE)]))[None]
        first, second = self.refining
        told = second(F.relu(first(start, networks.hears, kinds)), networks.hears, kinds[:, -1:])
        kinds = self.refined(torch.cat([kinds, self.summary(told).expand(-1, nodes, _WIDTH)], dim=2))
        seen = start
        for index, layer in enumerate(self.predicting):
            seen = layer(F.relu(seen) if index else seen, networks.hears, kinds)
        score: Tensor = self.head(torch.cat([seen[:, 1:].mean(dim=1), self.beside(networks.beside)], dim=1))[:, 0]
        return score

    def _devices(self, device: Tensor, nodes: int) -> Tensor:
        """Embedding of the device for every operation; the input has none and the output its own."""
        inner = self.devices(device)[:, None].expand(-1, nodes - 2, _DEVICE)
        first = inner.new_zeros(len(device), 1, _DEVICE)
        return torch.cat([first, inner, self.output_device.expand(len(device), 1, _DEVICE)], dim=1)


class Layer(nn.Module):
    """Mean of dense graph flow (Ning et al. 2022) and of graph attention, both gated by the operations."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        bound = outputs**-0.5
        self.flow = nn.Parameter(torch.empty(inputs, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(outputs).uniform_(-bound, bound))
        self.key = nn.Linear(inputs, outputs, bias=False)
        self.attention = nn.Linear(outputs, 1, bias=False)
        self.gates = nn.Linear(_OPERATION + _DEVICE, 2 * outputs)
        self.norm = nn.LayerNorm(outputs)

    def forward(self, x: Tensor, hears: Tensor, kinds: Tensor) -> Tensor:
        """Nodes after the layer, shape ``(networks, nodes, outputs)``; ``x`` may be one network's, the same for all."""
        flow_gate, attention_gate = self.gates(kinds).sigmoid().chunk(2, dim=2)
        own, key = x @ self.flow, self.key(x)
        asked = own.shape[1] - kinds.shape[1]  # where only the last nodes' kinds are given, only these are asked for
        flow = torch.addcmul(own[:, asked:] + self.bias, flow_gate, hears[:, asked:] @ own)
        # Nodes that are not heard keep a score of 0, not none: their share is small and never nothing.
        query = key[:, asked:] * (self.attention.weight / key.shape[2] ** 0.5)
        scores = F.leaky_relu(query @ key.transpose(1, 2)) * hears[:, asked:]
        return torch.lerp(flow, self.norm(attention_gate * (scores.softmax(dim=2) @ key)), 0.5)


def _perceptron(sizes: list[int], *, dropout: float = 0.0) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes[:-1]):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
        layers += [nn.Dropout(dropout)] if dropout else []
    return nn.Sequential(*layers, nn.Linear(sizes[-2], sizes[-1]))
