"""A network and its deployed weights as one safetensors file, for what runs networks as they are described.

The header holds the network (``network_to_json``), the tensors are the weights by their names. Nothing in such a file
is ever run or unpickled.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load, save

from nas.export.errors import ExportError
from nas.export.weights import Weights, bias_of, folded, weight_of
from nas.files import write_bytes
from search_spaces import Network, SpaceError, network_from_json, network_to_json
from search_spaces.network import Conv, LayerNorm, Linear, Node, RelativeBias, Scale

_HEADER = "hwnas.network"
_VERSION = 1


def write_network(network: Network, weights: Weights, path: Path) -> None:
    """Write a network and its weights, float32; equal inputs give equal bytes.

    Args:
        network: what to write.
        weights: its deployed weights.
        path: where to; replaced atomically.

    Raises:
        ExportError: a weight is missing or does not fit the network.
    """
    network, weights = folded(network, weights)
    header = {"version": _VERSION, "nodes": network_to_json(network)}
    write_bytes(path, save(_weights_of(network, weights), {_HEADER: json.dumps(header)}))


def read_network(content: bytes) -> tuple[Network, Weights]:
    """A network and its deployed weights from the bytes that ``write_network`` wrote.

    Raises:
        ExportError: something else was given, or weights that do not fit the network.
    """
    try:
        length = int.from_bytes(content[:8], "little")
        header = json.loads(json.loads(content[8 : 8 + length])["__metadata__"][_HEADER])
        if header["version"] != _VERSION:
            raise ExportError(f"the network file is of version {header['version']}, not {_VERSION}; export it again")
        network = network_from_json(header["nodes"])
        return network, _weights_of(network, load(content))
    except (ExportError, SpaceError) as error:
        raise ExportError(str(error)) from error
    except Exception as error:  # safetensors has its own kinds
        raise ExportError(f"this is no network file: {error!r}") from error


def _weights_of(network: Network, weights: Weights) -> dict[str, NDArray[np.float32]]:
    """What the network needs, each of the right shape, and nothing else."""
    found: dict[str, NDArray[np.float32]] = {}
    for node in network.nodes:
        if _has_weight(node):
            found[f"{node.name}.weight"] = weight_of(weights, node)
        bias = bias_of(weights, node)
        if bias is not None:
            found[f"{node.name}.bias"] = bias
    return found


def _has_weight(node: Node) -> bool:
    return isinstance(node.op, Conv | Linear | LayerNorm | Scale | RelativeBias)
