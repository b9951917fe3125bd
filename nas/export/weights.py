"""Deployed weights, and how the writers look them up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from nas.export.errors import ExportError
from search_spaces.network import Conv, LayerNorm, Linear, Network, Node, RelativeBias, Scale

Weights: TypeAlias = Mapping[str, NDArray[np.float32]]
"""Arrays by name, batch norms folded in: ``"{node}.weight"`` is ``(out, in / groups, k, k)`` for a convolution,
``(out, in)`` for a linear node, ``(features,)`` for a layer norm or a scale and ``(heads, height, width)`` for a
relative bias; ``"{node}.bias"`` has the output channels."""


def weight_of(weights: Weights, node: Node) -> NDArray[np.float32]:
    """The weight of a node that has one.

    Raises:
        ExportError: it is missing, of another shape than the node needs, or holds a value that is not finite.
    """
    match node.op:
        case Conv() as conv:
            shape: tuple[int, ...] = (conv.out_channels, conv.in_channels // conv.groups, conv.kernel, conv.kernel)
        case Linear() as linear:
            shape = (linear.out_features, linear.in_features)
        case LayerNorm() | Scale() as vector:
            shape = (vector.features,)
        case RelativeBias() as table:
            shape = (table.heads, table.height, table.width)
        case _:
            raise ExportError(f"node {node.name!r} is a {type(node.op).__name__}, which has no weight")
    return _lookup(weights, f"{node.name}.weight", shape)


def bias_of(weights: Weights, node: Node) -> NDArray[np.float32] | None:
    """The bias of a convolution, linear or layer-norm node; None where it has none.

    Raises:
        ExportError: it is missing, of another shape than the node needs, or holds a value that is not finite.
    """
    match node.op:
        case Conv() as conv:
            size = conv.out_channels if conv.norm or conv.bias else 0
        case Linear() as linear:
            size = linear.out_features if linear.bias else 0
        case LayerNorm() as norm:
            size = norm.features
        case _:
            size = 0
    return _lookup(weights, f"{node.name}.bias", (size,)) if size else None


def pairwise_bias(weights: Weights, node: Node) -> NDArray[np.float32]:
    """A relative bias written out for every pair of tokens, shape ``(heads, tokens, tokens)``."""
    table = weight_of(weights, node)
    heads, height, width = table.shape
    rows, columns = (np.abs(np.subtract.outer(np.arange(size), np.arange(size))) for size in (height, width))
    return table[:, rows[:, None, :, None], columns[None, :, None, :]].reshape(heads, height * width, height * width)


def folded(network: Network, weights: Weights) -> tuple[Network, Weights]:
    """The same function with fewer nodes: scales are multiplied into the layers that they follow.

    Args:
        network: what is to be written.
        weights: its deployed weights; they stay as they are.

    Raises:
        ExportError: a weight is missing or does not fit the network.
    """
    changed: dict[str, NDArray[np.float32]] = {}
    renamed: dict[str, str] = {}
    for name in network.folded_scales:
        node = network.by_name[name]
        layer = network.by_name[node.inputs[0]]
        scale = weight_of(weights, node)
        weight, bias = weight_of(weights, layer), bias_of(weights, layer)
        changed[f"{layer.name}.weight"] = weight * scale.reshape(-1, *[1] * (weight.ndim - 1))
        if bias is not None:
            changed[f"{layer.name}.bias"] = bias * scale
        renamed[name] = layer.name
    kept = (node for node in network.nodes if node.name not in renamed)
    nodes = (replace(node, inputs=tuple(renamed.get(source, source) for source in node.inputs)) for node in kept)
    return Network(tuple(nodes)), {**weights, **changed}


def shifted_bias(weights: Weights, node: Node, shift: float) -> NDArray[np.float32]:
    """The bias of a convolution or linear node, zeros where it has none, plus a number; shape ``(outputs,)``."""
    bias = bias_of(weights, node)
    if bias is None:
        bias = np.zeros(len(weight_of(weights, node)), np.float32)
    return bias + np.float32(shift)


def _lookup(weights: Weights, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    if name not in weights:
        raise ExportError(f"there is no {name!r} among the {len(weights)} weights; give the network's deployed weights")
    array = weights[name]
    if array.shape != shape:
        raise ExportError(f"{name!r} has shape {array.shape}; the network needs {shape}: extract the weights for it")
    if not np.isfinite(array).all():
        raise ExportError(f"{name!r} holds values that are not finite; train or load the weights again")
    return np.ascontiguousarray(array, np.float32)
