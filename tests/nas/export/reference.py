"""What a network computes, said with torch's functions: the yardstick for the written files."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from search_spaces import Network, NetworkBuilder, Node
from search_spaces.network import (
    Activation,
    Add,
    Concat,
    Conv,
    GlobalPool,
    Input,
    LayerNorm,
    Linear,
    MatMul,
    Mul,
    Pool,
    RelativeBias,
    Reshape,
    Scale,
    Softmax,
    Sub,
    Transpose,
)

ACTIVATIONS = {
    "relu": F.relu,
    "relu6": F.relu6,
    "hard_swish": F.hardswish,
    "hard_sigmoid": F.hardsigmoid,
    "sigmoid": torch.sigmoid,
    "swish": F.silu,
    "gelu": F.gelu,
}


def random_weights(network: Network, rng: np.random.Generator) -> dict[str, NDArray[np.float32]]:
    """Deployed weights that keep activations at about their size, so that outputs are of order 1."""
    weights: dict[str, NDArray[np.float32]] = {}
    for node in network.nodes:
        match node.op:
            case Conv() as conv:
                shape: tuple[int, ...] = (conv.out_channels, conv.in_channels // conv.groups, conv.kernel, conv.kernel)
                bias = conv.norm or conv.bias
            case Linear() as linear:
                shape, bias = (linear.out_features, linear.in_features), linear.bias
            case LayerNorm() as norm:
                weights[f"{node.name}.weight"] = rng.uniform(0.5, 1.5, norm.features).astype(np.float32)
                weights[f"{node.name}.bias"] = rng.normal(0, 0.2, norm.features).astype(np.float32)
                continue
            case Scale() as layer_scale:
                weights[f"{node.name}.weight"] = rng.uniform(0.1, 0.5, layer_scale.features).astype(np.float32)
                continue
            case RelativeBias() as table:
                shape = (table.heads, table.height, table.width)
                weights[f"{node.name}.weight"] = rng.normal(0, 1, shape).astype(np.float32)
                continue
            case _:
                continue
        scale = np.sqrt(2 / np.prod(shape[1:]))
        weights[f"{node.name}.weight"] = rng.normal(0, scale, shape).astype(np.float32)
        if bias:
            weights[f"{node.name}.bias"] = rng.normal(0, 0.2, shape[0]).astype(np.float32)
    return weights


def normalised_weights(
    network: Network, rng: np.random.Generator, images: NDArray[np.float32]
) -> dict[str, NDArray[np.float32]]:
    """Random weights whose convolutions give channels of mean 0 and variance 1 on these images, as batch norms do.

    The last layers of branches are quieter, as in trained networks: of many equal branches, rounding errors would grow.
    """
    quiet = {
        name for node in network.nodes if isinstance(node.op, Add) for name in node.inputs if "shortcut" not in name
    }
    weights = random_weights(network, rng)
    parameters = {name: torch.from_numpy(array) for name, array in weights.items()}
    values = {network.input.name: torch.from_numpy(images)}
    for node in network.nodes[1:]:
        inputs = [values[name] for name in node.inputs]
        y = _compute(node, inputs, parameters)
        if isinstance(node.op, Conv) and node.op.norm:
            mean, deviation = y.mean((0, 2, 3)), y.std((0, 2, 3)) + 0.1
            deviation = deviation * (4 if node.name in quiet else 1)
            weight, bias = parameters[f"{node.name}.weight"], parameters[f"{node.name}.bias"]
            weight /= deviation[:, None, None, None]
            bias.sub_(mean).div_(deviation)
            y = _compute(node, inputs, parameters)
        values[node.name] = y
    return weights


def forward(network: Network, weights: Mapping[str, NDArray[np.float32]], images: NDArray[np.float32]) -> Tensor:
    """Outputs of shape ``(images, *output shape)``."""
    parameters = {name: torch.from_numpy(array) for name, array in weights.items()}
    return run(network, parameters, torch.from_numpy(images))


def run(network: Network, parameters: Mapping[str, Tensor], images: Tensor) -> Tensor:
    """The same on tensors; differentiable."""
    values = {network.input.name: images}
    for node in network.nodes[1:]:
        inputs = [values[name] for name in node.inputs]
        values[node.name] = _compute(node, inputs, parameters)
        assert tuple(values[node.name].shape[1:]) == node.shape, node
    return values[network.output.name]


def _compute(node: Node, inputs: list[Tensor], parameters: Mapping[str, Tensor]) -> Tensor:  # noqa: PLR0911, PLR0912
    x = inputs[0]
    weight, bias = (parameters.get(f"{node.name}.{kind}") for kind in ("weight", "bias"))
    match node.op:
        case Conv() as conv:
            top, left, bottom, right = conv.pads
            assert weight is not None
            return F.conv2d(F.pad(x, (left, right, top, bottom)), weight, bias, conv.stride, groups=conv.groups)
        case Linear():
            assert weight is not None
            return F.linear(x, weight, bias)
        case Activation(kind):
            return ACTIVATIONS[kind](x)
        case Add():
            return inputs[0] + inputs[1]
        case Sub():
            return inputs[0] - inputs[1]
        case Mul():
            return inputs[0] * inputs[1]
        case Scale():
            assert weight is not None
            return x * (weight[:, None, None] if len(node.shape) == 3 else weight)
        case RelativeBias():
            assert weight is not None
            return x + _pairwise(weight)
        case Pool() as pool:
            top, left, bottom, right = pool.pads
            padding = (left, right, top, bottom)
            if pool.kind == "max":
                return F.max_pool2d(F.pad(x, padding, value=-torch.inf), pool.kernel, pool.stride)
            sums = F.avg_pool2d(F.pad(x, padding), pool.kernel, pool.stride)
            return sums / F.avg_pool2d(F.pad(torch.ones_like(x), padding), pool.kernel, pool.stride)
        case GlobalPool():
            return x.mean((2, 3), keepdim=True)
        case Reshape():
            return x.reshape(len(x), *node.shape)
        case Transpose(axes):
            return x.permute(0, *(axis + 1 for axis in axes))
        case MatMul(scale):
            return inputs[0] @ inputs[1] * scale
        case Softmax():
            return x.softmax(-1)
        case Concat():
            return torch.cat(inputs, 1)
        case LayerNorm() as norm:
            return F.layer_norm(x, (norm.features,), weight, bias, norm.epsilon)
        case Input():
            raise AssertionError(node)


def _pairwise(table: Tensor) -> Tensor:
    """The bias of every pair of tokens, one by one."""
    _, height, width = table.shape
    places = [(row, column) for row in range(height) for column in range(width)]
    rows = [torch.stack([table[:, abs(a - c), abs(b - d)] for c, d in places], -1) for a, b in places]
    return torch.stack(rows, 1)


def every_operation(size: int = 14) -> Network:
    """A network that has every operation of the vocabulary, in every form that the writers tell apart."""
    b = NetworkBuilder((3, size, size))
    with b.block("body"):
        x = b.conv("stem", b.input, 8, 3, stride=2)
        x = b.activation("stem_activation", x, "relu6")
        x = b.conv("grouped", x, 16, 3, groups=4)
        x = b.activation("swish", x, "swish")
        x = b.conv("multiplied", x, 32, 3, groups=16)
        x = b.activation("hard_swish", x, "hard_swish")
        plain = b.conv("plain", x, 32, 1, norm=False)
        x = b.activation("sum_activation", b.add("sum", plain, x), "relu")
        x = b.mul("square", x, b.activation("clip", x, "relu6"))
        gate = b.activation("gate", b.conv("gate_conv", b.global_pool("squeeze", x), 32, norm=False), "hard_sigmoid")
        x = b.mul("scale", x, gate)
        smooth = b.scale("layer_scale", b.sub("edges", b.pool("smooth", x, "average", 3, 1), x))
        x = b.add("sharper", x, smooth)
        x = b.add("folded_sum", x, b.scale("folded", b.conv("scaled", x, 32)))
        x = b.mul("scale_free", x, b.activation("gate_free", b.global_pool("squeeze_free", x), "hard_sigmoid"))
        left = b.pool("max", x, "max", 3, 2)
        right = b.pool("average", x, "average", 3, 2)
        small = b.activation("dense_activation", b.pool("average_dense", x, "average", 3, 1), "relu")
        small = b.pool("max_dense", small, "max", 3, 1)
        small = b.pool("average_even", small, "average", 2, 2)
        small = b.pool("max_even", x, "max", 2, 2) if b.shape(small) != b.shape(left) else small
        if b.shape(small) == b.shape(left):
            x = b.concat("concat", (left, right, small))
        else:
            x = b.concat("concat", (left, right))
    with b.block("attention"):
        channels, height, width = b.shape(x)
        tokens = b.transpose("to_tokens", b.reshape("merge", x, (channels, height * width)), (1, 0))
        x = b.layer_norm("norm", tokens)
        heads, features = 4, 8
        q, k, v = (
            b.transpose(
                f"{name}_heads",
                b.reshape(
                    f"{name}_split",
                    b.linear(name, x, heads * features, bias=name != "k"),
                    (height * width, heads, features),
                ),
                (1, 0, 2),
            )
            for name in "qkv"
        )
        scores = b.matmul("scores", q, b.transpose("k_transposed", k, (0, 2, 1)), scale=features**-0.5)
        scores = b.relative_bias("distances", scores, (height, width))
        x = b.matmul("mixed", b.softmax("softmax", scores), v)
        x = b.reshape("join", b.transpose("back", x, (1, 0, 2)), (height * width, heads * features))
        x = b.add("residual", b.scale("folded_rows", b.linear("out", x, channels)), tokens)
        x = b.scale("scaled_rows", x)
        x = b.activation("gelu", x, "gelu")
        maps = b.reshape("to_maps", b.transpose("channels_first", x, (1, 0)), (channels, height, width))
    with b.block("head"):
        x = b.activation("sigmoid", b.conv("reduce", maps, 12, 1), "sigmoid")
        rows = b.layer_norm("over_width", x)
        rows = b.linear("along_width", rows, 5)
        x = b.concat("vectors", (b.flatten("flat_rows", rows), b.flatten("flat_maps", x)))
        x = b.activation("hidden_activation", b.linear("hidden", x, 20), "relu")
        b.linear("classifier", x, 7)
    return b.build()
