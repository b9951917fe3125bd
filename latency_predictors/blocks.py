"""Blocks by their physical identity: two blocks that run the same operations on the same shapes have one key."""

from __future__ import annotations

import hashlib
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from latency_predictors.features import SUM_NAMES, node_features
from search_spaces.network import Network, Operation, Shape

_Part = tuple[Operation, Shape, tuple[int | Shape, ...]]


def block_keys(network: Network) -> list[str]:
    """Key of every block of a network, in order: 20 hexadecimal digits, the same in every process.

    A key tells the operations of a block, their shapes and how they are wired. It does not tell the block's name or
    place: the second and the third block of a stage often share one.
    """
    return [key for key, _ in block_sums(network)]


def block_sums(network: Network) -> list[tuple[str, NDArray[np.float64]]]:
    """Key of every block of a network, in order, with what it adds to the features that are sums.

    Every array has shape ``(len(features.SUM_NAMES),)``; entries that tell a place in the network are zero.
    """
    return [_described(signature) for signature in _signatures(network)]


def _signatures(network: Network) -> list[tuple[_Part, ...]]:
    """Operations, output shapes and inputs of every block; an input is a position in the block or a shape outside."""
    blocks: dict[str, list[_Part]] = {}
    places: dict[str, tuple[str, int]] = {network.input.name: ("", 0)}
    shapes: dict[str, Shape] = {network.input.name: network.input.shape}
    for node in network.nodes[1:]:
        parts = blocks.setdefault(node.block, [])
        sources = []
        for name in node.inputs:
            home, index = places[name]
            sources.append(index if home == node.block else shapes[name])
        places[node.name] = (node.block, len(parts))
        shapes[node.name] = node.shape
        parts.append((node.op, node.shape, tuple(sources)))
    return [tuple(parts) for parts in blocks.values()]


@lru_cache(maxsize=1 << 16)
def _described(signature: tuple[_Part, ...]) -> tuple[str, NDArray[np.float64]]:
    total = np.zeros(len(SUM_NAMES))
    for op, shape, sources in signature:
        outside = [signature[source][1] if isinstance(source, int) else source for source in sources]
        total += node_features(op, shape, None, *outside)
    total.flags.writeable = False
    return hashlib.sha256(repr(signature).encode()).hexdigest()[:20], total
