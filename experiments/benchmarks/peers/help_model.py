"""HELP's predictor and what it learns over devices (Lee et al. 2021, section 3): for many devices at a time.

Weights of a device have a leading dimension of devices, so that one product of matrices serves all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from peers.help_encoding import HelpEncoding

Weights: TypeAlias = dict[str, Tensor]

REFERENCES = 10
_WIDTH, _HEAD = 100, 200
_GRAPH_LAYERS, _DENSE_LAYERS = 4, 2
_MODULATED = ("head_0", "head_1", "head_2")
_FIRST_RATE = 1e-3
_MODULATION = 0.01  # of a weight, for a latent of 1
_MODULATOR_WIDTH = 10


@dataclass(frozen=True)
class Task:
    """Devices with a few measurements each.

    Attributes:
        embedding: latencies of the reference networks, scaled to 0..1, shape ``(devices, references)``.
        features: of the measured networks, as ``HelpEncoding.take`` gives them for ``(devices, networks)``.
        labels: scaled latencies, shape ``(devices, networks)``.
    """

    embedding: Tensor
    features: Tensor
    labels: Tensor


class HelpModel(nn.Module):
    """Initial weights, a rate for each of them (Meta-SGD, Li et al. 2017), and the modulator of the last layers.

    Args:
        encoding: of the networks.
        generator: draws the initial weights.
    """

    def __init__(self, encoding: HelpEncoding, generator: torch.Generator) -> None:
        super().__init__()
        self.hears = encoding.hears
        self.depth = _DENSE_LAYERS if encoding.hears is None else _GRAPH_LAYERS
        sizes = {"encoder_0": (encoding.features.shape[-1], _WIDTH)}
        sizes |= {f"encoder_{layer}": (_WIDTH, _WIDTH) for layer in range(1, self.depth)}
        sizes |= {"device_0": (REFERENCES, _WIDTH), "device_1": (_WIDTH, _WIDTH)}
        sizes |= {"head_0": (_HEAD, _HEAD), "head_1": (_HEAD, _HEAD), "head_2": (_HEAD, 1)}
        self.weights, self.rates = nn.ParameterDict(), nn.ParameterDict()
        for name, (inputs, outputs) in sizes.items():
            graph = encoding.hears is not None and name.startswith("encoder")
            bound = inputs**-0.5
            bounds = (0.05, outputs**-0.5) if graph else (bound, bound)
            for part, shape, reach in zip(("weight", "bias"), ((inputs, outputs), (1, outputs)), bounds, strict=True):
                drawn = torch.rand(shape, generator=generator) * 2 - 1
                self.weights[f"{name}_{part}"] = nn.Parameter(reach * drawn)
                self.rates[f"{name}_{part}"] = nn.Parameter(torch.full(shape, _FIRST_RATE))
        latents = len(_MODULATED) * (_HEAD + 1)
        layers = nn.Linear(REFERENCES, _MODULATOR_WIDTH), nn.Linear(_MODULATOR_WIDTH, 2 * latents)
        for layer in layers:
            for parameter in layer.parameters():
                bound = layer.in_features**-0.5
                parameter.data = (torch.rand(parameter.shape, generator=generator) * 2 - 1) * bound
        self.modulator = nn.Sequential(layers[0], nn.ReLU(), layers[1])

    def modulated(self, embedding: Tensor, generator: torch.Generator) -> tuple[Weights, Tensor]:
        """Weights of each device: the last layers' times ``1 + 0.01 z``, their biases plus ``0.01 z`` (section 3.3).

        Returns:
            Weights, and the sum over devices of the divergence of ``z`` from a standard normal.
        """
        mean, raw = self.modulator(embedding).chunk(2, dim=1)
        deviation = F.softplus(raw)
        noise = torch.randn(mean.shape, generator=generator)
        latent = _MODULATION * (mean + deviation * noise)
        divergence = (0.5 * (deviation**2 + mean**2 - 1) - deviation.log()).sum()
        weights = {name: weight.expand(len(embedding), *weight.shape) for name, weight in self.weights.items()}
        factors = latent[:, : _HEAD * len(_MODULATED)].view(len(embedding), len(_MODULATED), _HEAD)
        for layer, name in enumerate(_MODULATED):
            weights[f"{name}_weight"] = weights[f"{name}_weight"] * (1 + factors[:, layer, :, None])
            shift = latent[:, _HEAD * len(_MODULATED) + layer]
            weights[f"{name}_bias"] = weights[f"{name}_bias"] + shift[:, None, None]
        return weights, divergence

    def adapted(self, task: Task, generator: torch.Generator, *, steps: int, train: bool) -> tuple[Weights, Tensor]:
        """Weights after a few steps on the measurements of each device (equation 4), and the divergence.

        ``train``: keep what second-order gradients need.
        """
        weights, divergence = self.modulated(task.embedding, generator)
        if not train:
            weights = {name: weight.detach().requires_grad_() for name, weight in weights.items()}
        for _ in range(steps):
            predicted = self.latencies(weights, task.features, task.embedding)
            loss = ((predicted - task.labels) ** 2).mean(dim=1).sum()
            gradients = torch.autograd.grad(loss, list(weights.values()), create_graph=train)
            weights = {
                name: weight - self.rates[name] * gradient
                for (name, weight), gradient in zip(weights.items(), gradients, strict=True)
            }
        return weights, divergence

    def latencies(self, weights: Mapping[str, Tensor], features: Tensor, embedding: Tensor) -> Tensor:
        """Scaled latencies, shape ``(devices, networks)``."""

        def layer(name: str, x: Tensor) -> Tensor:
            return x @ weights[f"{name}_weight"] + weights[f"{name}_bias"]

        encoded = self._encoded(weights, features)
        device = embedding[:, None]
        for index in (0, 1):
            device = F.relu(layer(f"device_{index}", device))
        shape = (len(embedding), encoded.shape[1], device.shape[2])
        x = torch.cat([encoded.expand(shape), device.expand(shape)], dim=2)
        x = F.relu(layer("head_1", F.relu(layer("head_0", x))))
        return layer("head_2", x)[:, :, 0]

    def _encoded(self, weights: Mapping[str, Tensor], x: Tensor) -> Tensor:
        """Networks as the predictor sees them, shape ``(devices, networks, width)``; of graphs the global node."""
        for index in range(self.depth):
            if self.hears is not None:
                heard = self.hears[-1:] if index == self.depth - 1 else self.hears
                devices, nodes, networks, width = x.shape
                x = (heard @ x.reshape(devices, nodes, -1)).view(devices, len(heard) * networks, width)
            x = F.relu(x @ weights[f"encoder_{index}_weight"] + weights[f"encoder_{index}_bias"])
            if self.hears is not None:
                x = x.view(x.shape[0], len(heard), networks, -1)
        return x[:, 0] if self.hears is not None else x
