"""Peak activation memory of a network that is run node by node, whole tensors at a time."""

from __future__ import annotations

from itertools import accumulate
from math import prod

from search_spaces.network import Activation, Network, Reshape


def peak_activation_elements(network: Network) -> int:
    """Largest number of activation elements alive at once.

    A tensor lives from the node that makes it to the last node that reads it. Reshapes share their input's memory, and
    an activation overwrites its input where nothing else reads it, as every runtime does. A scale that is folded into
    the layer before it is no tensor of its own either.
    """
    owner: dict[str, str] = {}
    size: dict[str, int] = {}
    born: dict[str, int] = {}
    dies: dict[str, int] = {}
    for position, node in enumerate(network.nodes):
        source = owner[node.inputs[0]] if node.inputs else ""
        in_place = isinstance(node.op, Activation) or node.name in network.folded_scales
        overwrites = in_place and dies[source] == position
        name = owner[node.name] = source if isinstance(node.op, Reshape) or overwrites else node.name
        size.setdefault(name, prod(node.shape))
        born.setdefault(name, position)
        dies[name] = max(dies.get(name, 0), network.last_use.get(node.name, position))
    change = [0] * (len(network.nodes) + 2)
    for name, elements in size.items():
        change[born[name]] += elements
        change[dies[name] + 1] -= elements
    return max(accumulate(change))


def peak_activation_bytes(network: Network, activation_bits: int = 32) -> int:
    """Peak activation memory in bytes at this many bits an element (Lin et al. 2021, MCUNetV2, section 3)."""
    return (peak_activation_elements(network) * activation_bits + 7) // 8
