"""What both writers need to know about a network beyond its nodes."""

from __future__ import annotations

from collections import Counter

from search_spaces.network import Activation, Conv, Linear, Network, Node

INPUT_NAME, OUTPUT_NAME = "image", "logits"


def live_nodes(network: Network) -> tuple[Node, ...]:
    """The nodes after the input that the output depends on, in order."""
    needed = {network.output.name}
    for node in reversed(network.nodes):
        if node.name in needed:
            needed.update(node.inputs)
    return tuple(node for node in network.nodes[1:] if node.name in needed)


def sole_readers(network: Network) -> dict[str, Activation]:
    """Activations that are the only reader of a node, by that node's name."""
    nodes = live_nodes(network)
    reads = Counter([network.output.name])
    reads.update(name for node in nodes for name in node.inputs)
    return {node.inputs[0]: node.op for node in nodes if isinstance(node.op, Activation) and reads[node.inputs[0]] == 1}


def gated_layers(network: Network) -> frozenset[str]:
    """Layers whose only reader is a hard sigmoid: their bias can take over the 3 of ``relu6(x + 3) / 6``."""
    return frozenset(
        name
        for name, activation in sole_readers(network).items()
        if activation.kind == "hard_sigmoid" and isinstance(network.by_name[name].op, Conv | Linear)
    )
