"""Channels in the order of their importance, without changing what the largest network computes.

Which channels can change places is read off the networks themselves. Every node's output has one axis of channels;
where an operation treats channels alike, as activations, sums, norms and depthwise convolutions do, its input's and its
output's channels are tied. Dense convolutions and linear layers mix channels, so one set of tied channels ends there
and another begins: within a set any order will do, if the producers' outputs and the consumers' inputs follow it. Sets
that reach the network's input or output, or an operation that gives positions a meaning, stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from math import prod
from typing import TypeAlias

import torch
from torch import Tensor

from search_spaces import Network, SearchSpace
from search_spaces.network import (
    Activation,
    Add,
    Conv,
    GlobalPool,
    Input,
    LayerNorm,
    Linear,
    Mul,
    Node,
    Pool,
    Reshape,
    Transpose,
)
from supernet.parameters import SharedParameters, parameter_key

_FIXED = ("", "fixed")

Axis: TypeAlias = tuple[str, str]
"""A node's name, and which of its weight's axes: ``out`` or ``in``."""


@dataclass(frozen=True)
class ChannelGroup:
    """Channels that can only change places together.

    Attributes:
        size: how many.
        outputs: nodes whose output channels they are.
        inputs: nodes that mix them.
        judges: those of ``inputs`` whose weights tell how important each channel is: the ones that see the largest
            images, so of a block's channels it is the projection and not the squeeze-and-excite layer beside it.
    """

    size: int
    outputs: tuple[str, ...]
    inputs: tuple[str, ...]
    judges: tuple[str, ...]


def channel_groups(space: SearchSpace, shared: SharedParameters) -> tuple[ChannelGroup, ...]:
    """Every group whose channels can be permuted without changing any network that uses all of them."""
    axes = _Axes()
    for arch in space.covering():
        axes.read(space.lower(arch))
    groups = []
    for members in axes.groups():
        sizes = {_size(shared, axis) for axis in members}
        if len(sizes) == 1 and max(sizes) > 1:
            outputs, inputs = (tuple(sorted(n for n, side in members if side == wanted)) for wanted in ("out", "in"))
            widest = max((axes.pixels[name] for name in inputs), default=0)
            judges = tuple(name for name in inputs if axes.pixels[name] == widest)
            groups.append(ChannelGroup(max(sizes), outputs, inputs, judges))
    return tuple(sorted((group for group in groups if group.judges), key=lambda group: group.outputs))


def channel_limits(networks: Iterable[Network], group: ChannelGroup) -> list[int]:
    """How many of a group's channels these networks use, ascending: the numbers below the group's size."""
    used: set[int] = set()
    outputs, inputs = set(group.outputs), set(group.inputs)
    for network in networks:
        for node in network.nodes:
            if node.name in outputs:
                used.add(_length(node, "out"))
            if node.name in inputs:
                used.add(_length(node, "in"))
    return sorted(count for count in used if count < group.size)


@torch.no_grad()
def importance_order(shared: SharedParameters, group: ChannelGroup, limits: Iterable[int] = ()) -> Tensor:
    """Positions of a group's channels, the most important first; ``int64`` of shape ``(size,)``.

    The importance of a channel is the L1 norm of the weights that read it (Cai et al. 2020, section 3.3).

    Args:
        shared: the weights.
        group: whose channels.
        limits: of a network that uses the first ``limit`` channels, the same ones stay the first.
    """
    importance = torch.zeros(group.size, device=shared.get(group.judges[0], "weight").device)
    for name in group.judges:
        weight = shared.get(name, "weight")
        importance += weight.abs().flatten(2).sum((0, 2)) if weight.dim() > 2 else weight.abs().sum(0)
    edges = [0, *limits, group.size]
    parts = [begin + importance[begin:end].argsort(descending=True, stable=True) for begin, end in pairwise(edges)]
    return torch.cat(parts)


@torch.no_grad()
def permute(tensors: Mapping[str, Tensor], group: ChannelGroup, order: Tensor) -> None:
    """Put a group's channels in another order, in place.

    Args:
        tensors: parameters, or anything kept for each of their values such as momentum, by parameter name.
        group: which channels.
        order: old position of each.
    """
    for name in group.outputs:
        for kind in ("weight", "bias", "norm_scale", "norm_shift"):
            tensor = tensors.get(parameter_key(name, kind))
            if tensor is not None:
                tensor.copy_(tensor.index_select(0, order))
    for name in group.inputs:
        tensor = tensors.get(parameter_key(name, "weight"))
        if tensor is not None:
            tensor.copy_(tensor.index_select(1, order))


def _size(shared: SharedParameters, axis: Axis) -> int:
    name, side = axis
    return shared.slots[name].weight_shape[0 if side == "out" else 1]


def _length(node: Node, side: str) -> int:
    match node.op:
        case Conv() as op:
            return op.out_channels if side == "out" else op.in_channels
        case Linear() as op:
            return op.out_features if side == "out" else op.in_features
        case LayerNorm() as op:
            return op.features
        case _:
            return node.shape[0]


_Place: TypeAlias = tuple[Axis, int]
"""Whose channels a node's output carries, and along which of its axes."""


@dataclass
class _Axes:
    """Sets of tied axes, grown network by network."""

    parents: dict[Axis, Axis] = field(default_factory=lambda: {_FIXED: _FIXED})
    pixels: dict[str, int] = field(default_factory=dict)

    def read(self, network: Network) -> None:
        """Tie what one network ties."""
        places: dict[str, _Place] = {}
        for node in network.nodes:
            places[node.name] = self._place(node, [places[name] for name in node.inputs], network)
        self._tie(places[network.output.name][0], _FIXED)

    def groups(self) -> list[list[Axis]]:
        """Every set but the one that stays."""
        found: dict[Axis, list[Axis]] = {}
        for axis in self.parents:
            found.setdefault(self._root(axis), []).append(axis)
        found.pop(self._root(_FIXED))
        return list(found.values())

    def _place(  # noqa: PLR0911 (one case per operation)
        self, node: Node, inputs: list[_Place], network: Network
    ) -> _Place:
        out: Axis = (node.name, "out")
        match node.op:
            case Input():
                return _FIXED, 0
            case Conv() as op if op.depthwise:
                return self._tie(out, self._on(inputs[0], 0)), 0
            case Conv(groups=1) | Linear():
                axis = 0 if isinstance(node.op, Conv) else len(node.shape) - 1
                self._tie((node.name, "in"), self._on(inputs[0], axis))
                seen = prod(network.by_name[node.inputs[0]].shape) // _length(node, "in")
                self.pixels[node.name] = max(self.pixels.get(node.name, 0), seen)
                return self._tie(out, out), axis
            case Conv():
                self._tie(out, self._tie(inputs[0][0], _FIXED))
                return _FIXED, 0
            case LayerNorm():
                axis = len(node.shape) - 1
                return self._tie(out, self._on(inputs[0], axis)), axis
            case Activation():
                return inputs[0]
            case Pool() | GlobalPool():
                return self._on(inputs[0], 0), 0
            case Add() | Mul() if inputs[0][1] == inputs[1][1]:
                return self._tie(inputs[0][0], inputs[1][0]), inputs[0][1]
            case Transpose(axes):
                return inputs[0][0], axes.index(inputs[0][1])
            case Reshape() if inputs[0][1] == 0 and node.shape[0] == network.by_name[node.inputs[0]].shape[0]:
                return inputs[0]
            case _:
                for axis_of_input, _ in inputs:
                    self._tie(axis_of_input, _FIXED)
                return _FIXED, 0

    def _on(self, place: _Place, axis: int) -> Axis:
        """The channels of an input; they stay as they are unless they lie along the axis that is worked on."""
        return place[0] if place[1] == axis else self._tie(place[0], _FIXED)

    def _tie(self, a: Axis, b: Axis) -> Axis:
        self.parents.setdefault(a, a)
        self.parents.setdefault(b, b)
        self.parents[self._root(a)] = self._root(b)
        return a

    def _root(self, axis: Axis) -> Axis:
        while self.parents[axis] != axis:
            axis = self.parents[axis]
        return axis
