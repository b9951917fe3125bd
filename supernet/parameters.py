"""The shared weights of a supernet: allocated once at their largest size, sliced for every sub-network.

A sub-network uses the first channels of every axis and the centre of every kernel. Where one convolution has several
kernel sizes, a smaller one is a learned transform of the centre of the next larger one (Cai et al. 2020, section 3.3).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from search_spaces.network import Conv, LayerNorm, Linear, Network, RelativeBias, Scale


@dataclass(frozen=True, slots=True)
class Slot:
    """Largest shape of one node's weight over the whole space, and what else is stored for it.

    ``initial`` is what a weight with one axis is filled with.
    """

    weight_shape: tuple[int, ...]
    bias: bool
    norm: bool
    kernels: tuple[int, ...] = ()
    initial: float = 1.0


def plan_slots(networks: Iterable[Network]) -> dict[str, Slot]:
    """Slots that hold every weight of these networks.

    Args:
        networks: networks that together reach the largest size of every weight, and every kernel size.
    """
    slots: dict[str, Slot] = {}
    for network in networks:
        for node in network.nodes:
            match node.op:
                case Conv() as op:
                    shape: tuple[int, ...] = (op.out_channels, op.in_channels // op.groups, op.kernel, op.kernel)
                    slot = Slot(shape, op.bias, op.norm, (op.kernel,))
                case Linear() as op:
                    slot = Slot((op.out_features, op.in_features), op.bias, norm=False)
                case LayerNorm() as op:
                    slot = Slot((op.features,), bias=True, norm=False)
                case Scale() as op:
                    slot = Slot((op.features,), bias=False, norm=False, initial=op.initial)
                case RelativeBias() as op:
                    slot = Slot((op.heads, op.height, op.width), bias=False, norm=False)
                case _:
                    continue
            slots[node.name] = _union(slots[node.name], slot) if node.name in slots else slot
    return slots


def _union(a: Slot, b: Slot) -> Slot:
    shape = tuple(max(pair) for pair in zip(a.weight_shape, b.weight_shape, strict=True))
    kernels = tuple(sorted({*a.kernels, *b.kernels}, reverse=True))
    return Slot(shape, a.bias or b.bias, a.norm or b.norm, kernels, a.initial)


class SharedParameters(nn.Module):
    """All weights of a supernet, by node name.

    Args:
        slots: what to allocate.
        generator: source of the initial weights: He-normal by fan-out for convolutions (He et al. 2015), as in the
            published MobileNetV3, and N(0, 0.01²) for linear layers. Relative biases start at zero.
    """

    def __init__(self, slots: dict[str, Slot], generator: torch.Generator) -> None:
        super().__init__()
        self.slots = slots
        for name, slot in slots.items():
            self._allocate(name, slot, generator)

    def _allocate(self, name: str, slot: Slot, generator: torch.Generator) -> None:
        shape = slot.weight_shape
        if len(shape) == 1:
            weight = torch.full(shape, slot.initial)
        elif len(shape) == 3:
            weight = torch.zeros(shape)
        elif len(shape) == 2:
            weight = torch.randn(shape, generator=generator) * 0.01
        else:
            fan_out = shape[2] * shape[3] * (shape[0] if shape[1] > 1 else 1)
            weight = torch.randn(shape, generator=generator) * (2.0 / fan_out) ** 0.5
        self._store(name, "weight", weight)
        if slot.bias:
            self._store(name, "bias", torch.zeros(shape[0]))
        if slot.norm:
            self._store(name, "norm_scale", torch.ones(shape[0]))
            self._store(name, "norm_shift", torch.zeros(shape[0]))
        for kernel in slot.kernels[1:]:
            self._store(name, f"to_{kernel}", torch.eye(kernel * kernel))

    def _store(self, node: str, kind: str, value: Tensor) -> None:
        self.register_parameter(parameter_key(node, kind), nn.Parameter(value))

    def get(self, node: str, kind: str) -> Tensor:
        """A stored tensor at its full size; kinds are weight, bias, norm_scale, norm_shift and to_KERNEL."""
        return self.get_parameter(parameter_key(node, kind))

    def conv_weight(self, node: str, op: Conv) -> Tensor:
        """Convolution weight ``(out, in / groups, kernel, kernel)``: first channels, transformed kernel centre."""
        weight = self.get(node, "weight")[: op.out_channels, : op.in_channels // op.groups]
        kernels = self.slots[node].kernels
        for larger, smaller in pairwise(kernels):
            if op.kernel >= larger:
                break
            edge = (larger - smaller) // 2
            centre = weight[:, :, edge : edge + smaller, edge : edge + smaller]
            flat = centre.reshape(*centre.shape[:2], smaller * smaller)
            weight = (flat @ self.get(node, f"to_{smaller}").T).view(*centre.shape)
        return weight

    def matrix(self, node: str, op: Linear) -> Tensor:
        """Linear weight ``(out, in)``: first features of both axes."""
        return self.get(node, "weight")[: op.out_features, : op.in_features]

    def vector(self, node: str, kind: str, length: int) -> Tensor:
        """First ``length`` entries of a per-channel tensor."""
        return self.get(node, kind)[:length]

    def relative_bias(self, node: str, op: RelativeBias) -> Tensor:
        """Bias table ``(heads, height, width)``: the nearest distances of the first heads."""
        return self.get(node, "weight")[: op.heads, : op.height, : op.width]

    def is_decayed(self, key: str) -> bool:
        """Whether weight decay applies to a parameter: not to norms, scales, biases and kernel transforms."""
        return key.endswith("|weight") and self.get_parameter(key).dim() in (2, 4)


def parameter_key(node: str, kind: str) -> str:
    """Name of the parameter that holds this kind of tensor of a node."""
    return f"{node.replace('.', '/')}|{kind}"
