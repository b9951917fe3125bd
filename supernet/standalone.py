"""One sub-network as a plain module with weights of its own, cut out of the supernet."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from search_spaces import Network
from search_spaces.network import Conv, Input, LayerNorm, Linear, Node, RelativeBias, Scale
from supernet.operations import NORM_EPSILON, NormStatistics, compute
from supernet.parameters import SharedParameters


class StandaloneNetwork(nn.Module):
    """A ``Network`` built of PyTorch's own layers; batch norms keep running statistics as usual.

    There is one layer for every node with weights (for a normalised convolution the convolution and its batch norm), so
    anything that works on modules works on it.

    Args:
        network: what to build; weights start as PyTorch starts them.
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network
        self.layers = nn.ModuleDict(
            {layer_key(n.name): layer for n in network.nodes if (layer := _layer(n)) is not None}
        )

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(batch, classes)`` of normalised images ``(batch, 3, resolution, resolution)``."""
        values: dict[str, Tensor] = {}
        for node in self.network.nodes:
            if isinstance(node.op, Input):
                values[node.name] = x
                continue
            inputs = [values[name] for name in node.inputs]
            key = layer_key(node.name)
            values[node.name] = self.layers[key](inputs[0]) if key in self.layers else compute(node, inputs)
        return values[self.network.output.name]

    @torch.no_grad()
    def load(self, shared: SharedParameters, statistics: NormStatistics) -> StandaloneNetwork:
        """Copy a supernet's slices and these batch-norm statistics in.

        Returns:
            Itself, in evaluation mode.
        """
        for node in self.network.nodes:
            match node.op:
                case Conv() as op:
                    conv, norm = conv_and_norm(self.layers[layer_key(node.name)])
                    conv.weight.copy_(shared.conv_weight(node.name, op))
                    if conv.bias is not None:
                        conv.bias.copy_(shared.vector(node.name, "bias", op.out_channels))
                    if norm is not None:
                        mean, variance = statistics[node.name]
                        _tensor(norm.running_mean).copy_(mean)
                        _tensor(norm.running_var).copy_(variance)
                        norm.weight.copy_(shared.vector(node.name, "norm_scale", op.out_channels))
                        norm.bias.copy_(shared.vector(node.name, "norm_shift", op.out_channels))
                case Linear() as op:
                    layer = self.layers[layer_key(node.name)]
                    _tensor(layer.weight).copy_(shared.matrix(node.name, op))
                    if op.bias:
                        _tensor(layer.bias).copy_(shared.vector(node.name, "bias", op.out_features))
                case LayerNorm() as op:
                    layer = self.layers[layer_key(node.name)]
                    _tensor(layer.weight).copy_(shared.vector(node.name, "weight", op.features))
                    _tensor(layer.bias).copy_(shared.vector(node.name, "bias", op.features))
                case Scale() as op:
                    _tensor(self.layers[layer_key(node.name)].weight).copy_(
                        shared.vector(node.name, "weight", op.features)
                    )
                case RelativeBias() as op:
                    layer = self.layers[layer_key(node.name)]
                    _tensor(layer.weight).copy_(shared.relative_bias(node.name, op))
                case _:
                    pass
        return self.eval()

    @torch.no_grad()
    def deployed_weights(self) -> dict[str, NDArray[np.float32]]:
        """Weights as model files hold them, batch norms folded into their convolutions.

        Returns:
            ``NODE.weight`` (convolutions ``(out, in / groups, kernel, kernel)``, linear layers ``(out, in)``) and,
            where the node has one, ``NODE.bias``; float32, contiguous.
        """
        weights: dict[str, NDArray[np.float32]] = {}
        for node in self.network.nodes:
            key = layer_key(node.name)
            if key not in self.layers:
                continue
            layer = self.layers[key]
            weight, bias = _fold(layer) if isinstance(node.op, Conv) else (_tensor(layer.weight), layer.bias)
            weights[f"{node.name}.weight"] = _array(weight)
            if isinstance(bias, Tensor):
                weights[f"{node.name}.bias"] = _array(bias)
        return weights


class _Learned(nn.Module):
    """A learned tensor that its node's input is multiplied by, or that is added to it."""

    def __init__(self, node: Node, weight: Tensor) -> None:
        super().__init__()
        self.node = node
        self.weight = nn.Parameter(weight)
        self.bias = None

    def forward(self, x: Tensor) -> Tensor:
        return compute(self.node, [x], self.weight)


def layer_key(name: str) -> str:
    """Name in ``StandaloneNetwork.layers`` of a node's layer: module names hold no dots."""
    return name.replace(".", "/")


def _layer(node: Node) -> nn.Module | None:
    match node.op:
        case Conv() as op:
            top, left, bottom, right = op.pads
            symmetric = (top, left) == (bottom, right)
            conv = nn.Conv2d(
                op.in_channels,
                op.out_channels,
                op.kernel,
                op.stride,
                (top, left) if symmetric else 0,
                groups=op.groups,
                bias=op.bias,
            )
            layers: list[nn.Module] = [] if symmetric else [nn.ZeroPad2d((left, right, top, bottom))]
            layers.append(conv)
            if op.norm:
                layers.append(nn.BatchNorm2d(op.out_channels, eps=NORM_EPSILON))
            return layers[0] if len(layers) == 1 else nn.Sequential(*layers)
        case Linear() as op:
            return nn.Linear(op.in_features, op.out_features, op.bias)
        case LayerNorm() as op:
            return nn.LayerNorm(op.features, eps=op.epsilon)
        case Scale() as op:
            return _Learned(node, torch.full((op.features,), op.initial))
        case RelativeBias() as op:
            return _Learned(node, torch.zeros(op.heads, op.height, op.width))
        case _:
            return None


def conv_and_norm(layer: nn.Module) -> tuple[nn.Conv2d, nn.BatchNorm2d | None]:
    """The parts of a convolution's layer, which may also hold padding."""
    parts = list(layer) if isinstance(layer, nn.Sequential) else [layer]
    conv = next(part for part in parts if isinstance(part, nn.Conv2d))
    return conv, next((part for part in parts if isinstance(part, nn.BatchNorm2d)), None)


def _fold(layer: nn.Module) -> tuple[Tensor, Tensor | None]:
    conv, norm = conv_and_norm(layer)
    if norm is None:
        return conv.weight, conv.bias
    # In float64: the folded product is rounded once.
    scale = norm.weight.double() / (_tensor(norm.running_var).double() + norm.eps).sqrt()
    bias = norm.bias.double() - _tensor(norm.running_mean).double() * scale
    return conv.weight.double() * scale.view(-1, 1, 1, 1), bias


def _tensor(value: object) -> Tensor:
    assert isinstance(value, Tensor)  # noqa: S101 (narrows torch's attribute types)
    return value


def _array(tensor: Tensor) -> NDArray[np.float32]:
    return np.ascontiguousarray(tensor.detach().cpu().numpy().astype(np.float32))
