"""What a network costs, counted from its representation: multiply-accumulates, parameters, bytes of flash."""

from __future__ import annotations

from math import prod

from search_spaces.network import Conv, LayerNorm, Linear, MatMul, Network, Node, RelativeBias, Scale


def node_macs(network: Network, node: Node) -> int:
    """Multiply-accumulates of one node for one image; biases, norms and element-wise operations count as none."""
    match node.op:
        case Conv() as conv:
            return prod(node.shape) * (conv.in_channels // conv.groups) * conv.kernel**2
        case Linear() as linear:
            return prod(node.shape) * linear.in_features
        case MatMul():
            return prod(node.shape) * network.by_name[node.inputs[0]].shape[-1]
        case _:
            return 0


def node_parameters(node: Node) -> int:
    """Trainable parameters of one node, the two of every batch-norm channel included."""
    match node.op:
        case Conv() as conv:
            weight = conv.out_channels * (conv.in_channels // conv.groups) * conv.kernel**2
            return weight + conv.out_channels * (2 * conv.norm + conv.bias)
        case Linear() as linear:
            return linear.out_features * (linear.in_features + linear.bias)
        case LayerNorm() as norm:
            return 2 * norm.features
        case Scale() as scale:
            return scale.features
        case RelativeBias() as bias:
            return bias.heads * bias.height * bias.width
        case _:
            return 0


def node_deployed_parameters(node: Node) -> tuple[int, int]:
    """Weights and biases of one node once its batch norm is folded into it; a layer norm's shift is a bias."""
    match node.op:
        case Conv() as conv:
            weight = conv.out_channels * (conv.in_channels // conv.groups) * conv.kernel**2
            return weight, conv.out_channels if conv.norm or conv.bias else 0
        case RelativeBias():
            return prod(node.shape), 0  # files hold it written out for every pair of tokens
        case LayerNorm() as norm:
            return norm.features, norm.features
        case _:
            biases = node.op.out_features if isinstance(node.op, Linear) and node.op.bias else 0
            return node_parameters(node) - biases, biases


def macs(network: Network) -> int:
    """Multiply-accumulates for one image."""
    return sum(node_macs(network, node) for node in network.nodes)


def parameters(network: Network) -> int:
    """Trainable parameters, batch norms' included."""
    return sum(node_parameters(node) for node in network.nodes)


def flash_bytes(network: Network, weight_bits: int = 32) -> int:
    """Bytes that the deployed weights take: weights at ``weight_bits``, biases at 32, norms and scales folded away."""
    counts = [node_deployed_parameters(node) for node in network.nodes if node.name not in network.folded_scales]
    return (sum(weights for weights, _ in counts) * weight_bits + 7) // 8 + 4 * sum(biases for _, biases in counts)
