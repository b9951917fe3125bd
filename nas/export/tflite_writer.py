"""``Network`` and deployed weights to TFLite, written node by node."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nas.export import tflite_windows as windows
from nas.export.graph import INPUT_NAME, OUTPUT_NAME, gated_layers, live_nodes, sole_readers
from nas.export.tflite_depthwise import depthwise
from nas.export.tflite_graph import CHANNELS_LAST, FlatGraph, Value, plain
from nas.export.tflite_schema import FusedActivation
from nas.export.weights import Weights, folded, pairwise_bias, shifted_bias, weight_of
from nas.files import write_bytes
from search_spaces.network import (
    Activation,
    ActivationKind,
    Add,
    Concat,
    Conv,
    GlobalPool,
    Input,
    LayerNorm,
    Linear,
    MatMul,
    Mul,
    Network,
    Node,
    Pool,
    RelativeBias,
    Reshape,
    Scale,
    Softmax,
    Sub,
    Transpose,
)

SIGNATURE = "serving_default"


def write_tflite(network: Network, weights: Weights, path: Path) -> None:
    """Write a network as a float32 TFLite file: feature maps NHWC, batch of 1.

    Its signature ``serving_default`` has the input ``image`` and the output ``logits``. Equal inputs give equal bytes.

    Args:
        network: what to write.
        weights: its deployed weights.
        path: where to; replaced atomically.

    Raises:
        ExportError: a weight is missing or does not fit the network.
    """
    write_bytes(path, tflite_file(network, weights))


def tflite_file(network: Network, weights: Weights, *, integer: bool = False) -> bytes:
    """The bytes that ``write_tflite`` writes.

    Args:
        network: what to write.
        weights: its deployed weights.
        integer: spell hard swish in sums, clips and products, for which XNNPACK has integer kernels.

    Raises:
        ExportError: a weight is missing or does not fit the network.
    """
    return _Writer(network, weights, integer=integer).file()


class _Writer:
    def __init__(self, network: Network, weights: Weights, *, integer: bool) -> None:
        self._graph = FlatGraph()
        self._network, self._weights = folded(network, weights)
        self._integer = integer
        self._gated = gated_layers(self._network)
        self._fused = _fused_activations(self._network)

    def file(self) -> bytes:
        graph, network = self._graph, self._network
        image = graph.input(INPUT_NAME, network.input.shape)
        values = {network.input.name: image}
        for node in live_nodes(network):
            inputs = [values[name] for name in node.inputs]
            fused = isinstance(node.op, Activation) and node.inputs[0] in self._fused
            values[node.name] = inputs[0] if fused else self._write(node, inputs)
        output = graph.plain(values[network.output.name])
        return graph.model.serialise(SIGNATURE, {INPUT_NAME: image.tensor}, {OUTPUT_NAME: output.tensor})

    def _write(self, node: Node, inputs: list[Value]) -> Value:  # noqa: PLR0911, PLR0912 (a case per operation)
        graph, source = self._graph, inputs[0]
        match node.op:
            case Conv() as conv:
                return self._conv(node, conv, graph.channels_last(source))
            case Linear():
                return self._linear(node, graph.rows(source))
            case Activation(kind):
                return self._activation(node, kind, source)
            case Add() | Sub() | Mul():
                arithmetic = type(node.op).__name__
                pair = [source, graph.arrange(inputs[1], source.order)]
                function = self._function(node)
                return self._last(
                    arithmetic.upper(), pair, node, f"{arithmetic}Options", fusedActivationFunction=function
                )
            case Scale():
                return self._scale(node, source)
            case RelativeBias():
                # Not called a weight: it has one INT8 scale, as the scores that it is added to have.
                pairs = graph.model.constant(f"{node.name}.pairs", pairwise_bias(self._weights, node)[None])
                return self._last("ADD", [graph.plain(source), pairs], node, "AddOptions")
            case Pool() as pool:
                return windows.pool(graph, node, pool, graph.channels_last(source), self._function(node))
            case GlobalPool():
                return graph.mean(graph.channels_last(source), node.name, (1, 2))
            case Reshape():
                return graph.reshape(source, node.name, node.shape)
            case Transpose(axes):
                return Value(source.tensor, node.shape, tuple(axes.index(axis) for axis in source.order))
            case MatMul(scale):
                return self._matmul(node, source, inputs[1], scale)
            case Softmax():
                return self._last("SOFTMAX", [graph.rows(source)], node, "SoftmaxOptions", beta=1.0)
            case Concat():
                parts = [graph.arrange(value, source.order) for value in inputs]
                axis = source.order.index(0) + 1
                return self._last("CONCATENATION", parts, node, "ConcatenationOptions", axis=axis)
            case LayerNorm() as norm:
                return self._layer_norm(node, norm, graph.rows(source))
            case Input():  # pragma: no cover (a network has one input, its first node)
                raise AssertionError(node)

    def _conv(self, node: Node, conv: Conv, source: Value) -> Value:
        weight, bias = weight_of(self._weights, node), self._bias(node)
        if conv.groups == conv.in_channels > 1:
            function = self._function(node)
            return depthwise(self._graph, node, source, weight=weight, bias=bias, function=function)
        window = windows.of_node(node, source, conv.kernel, conv.stride, conv.pads)
        source, fields = windows.padded(self._graph, node.name, source, window)
        fields["fusedActivationFunction"] = self._function(node)
        inputs = (source, *self._constants(node, weight.transpose(0, 2, 3, 1), bias))
        return self._graph.apply("CONV_2D", inputs, node.name, node.shape, CHANNELS_LAST, "Conv2DOptions", **fields)

    def _linear(self, node: Node, source: Value) -> Value:
        inputs: list[Value | int] = [source, *self._constants(node, weight_of(self._weights, node), self._bias(node))]
        fields = {"keepNumDims": len(node.shape) > 1, "fusedActivationFunction": self._function(node)}
        return self._last("FULLY_CONNECTED", inputs, node, "FullyConnectedOptions", **fields)

    def _bias(self, node: Node) -> NDArray[np.float32]:
        return shifted_bias(self._weights, node, 3 if node.name in self._gated else 0)

    def _constants(self, node: Node, weight: NDArray[np.float32], bias: NDArray[np.float32]) -> tuple[int, int]:
        constant = self._graph.model.constant
        return constant(f"{node.name}.weight", weight), constant(f"{node.name}.bias", bias)

    def _scale(self, node: Node, source: Value) -> Value:
        axis = 0 if len(node.shape) == 3 else len(node.shape) - 1
        shape = [-1 if stored == axis else 1 for stored in source.order]
        vector = weight_of(self._weights, node).reshape(1, *shape)
        factors = self._graph.model.constant(f"{node.name}.factors", vector)
        return self._last("MUL", [source, factors], node, "MulOptions")

    def _layer_norm(self, node: Node, norm: LayerNorm, source: Value) -> Value:
        graph, last = self._graph, (len(node.shape) - 1,)
        scale, shift = self._constants(node, weight_of(self._weights, node), shifted_bias(self._weights, node, 0))
        mean = graph.mean(source, f"{node.name}.mean", last)
        centred = self._step("SUB", [source, mean], node, "centred", "SubOptions")
        squares = self._step("SQUARED_DIFFERENCE", [source, mean], node, "squares", "SquaredDifferenceOptions")
        variance = graph.mean(squares, f"{node.name}.variance", last)
        safe: list[Value | int] = [variance, graph.number(f"{node.name}.epsilon", norm.epsilon)]
        inverse = self._step("RSQRT", [self._step("ADD", safe, node, "safe", "AddOptions")], node, "inverse")
        normal = self._step("MUL", [centred, inverse], node, "normal", "MulOptions")
        scaled = self._step("MUL", [normal, scale], node, "scaled", "MulOptions")
        return self._last("ADD", [scaled, shift], node, "AddOptions")

    def _activation(self, node: Node, kind: ActivationKind, source: Value) -> Value:  # noqa: PLR0911
        match kind:
            case "hard_swish" if self._integer:
                gate = self._step("MUL", self._clipped(node, source), node, "gate", "MulOptions")
                return self._last("MUL", [source, gate], node, "MulOptions")
            case "hard_sigmoid":
                return self._last("MUL", self._clipped(node, source), node, "MulOptions")
            case "swish":
                gate = self._step("LOGISTIC", [source], node, "gate")
                return self._last("MUL", [source, gate], node, "MulOptions")
            case "hard_swish":
                return self._last("HARD_SWISH", [source], node, "HardSwishOptions")
            case "gelu":
                return self._last("GELU", [source], node, "GeluOptions")
            case "sigmoid":
                return self._last("LOGISTIC", [source], node)
            case "relu" | "relu6":
                return self._last(kind.upper(), [source], node)

    def _clipped(self, node: Node, source: Value) -> list[Value | int]:
        """``relu6(x + 3)``, and 1/6 to multiply it by; a layer read by nothing else has done the former already.

        Both ranges, 0 to 6 and 0 to 1, are known beforehand and suit 8 bits.
        """
        if node.inputs[0] not in self._gated:
            three, clip = self._graph.number("constant.three", 3), {"fusedActivationFunction": FusedActivation.RELU6}
            source = self._step("ADD", [source, three], node, "clipped", "AddOptions", **clip)
        return [source, self._graph.number("constant.sixth", 1 / 6)]

    def _matmul(self, node: Node, left: Value, right: Value, scale: float) -> Value:
        order = plain(len(node.shape))
        transposed = right.order == (*order[:-2], order[-1], order[-2])
        inputs = [self._graph.plain(left), right if transposed else self._graph.plain(right)]
        name = node.name if scale == 1.0 else f"{node.name}.product"
        options = "BatchMatMulOptions"
        product = self._graph.apply("BATCH_MATMUL", inputs, name, node.shape, order, options, adjY=transposed)
        if scale == 1.0:
            return product
        return self._last("MUL", [product, self._graph.number(f"{node.name}.scale", scale)], node, "MulOptions")

    def _step(
        self, kind: str, inputs: Sequence[Value | int], node: Node, suffix: str, options: str = "", **fields: int
    ) -> Value:
        """Add an element-wise operator that is one of several making up ``node``."""
        first = _value(inputs[0])
        return self._graph.apply(kind, inputs, f"{node.name}.{suffix}", first.shape, first.order, options, **fields)

    def _last(self, kind: str, inputs: Sequence[Value | int], node: Node, options: str = "", **fields: float) -> Value:
        """Add the operator that computes the output of ``node``, stored as its first input is."""
        return self._graph.apply(kind, inputs, node.name, node.shape, _value(inputs[0]).order, options, **fields)

    def _function(self, node: Node) -> int:
        """The activation that this node's operator applies itself."""
        if node.name in self._gated:
            return int(FusedActivation.RELU6)
        kinds = {"relu": FusedActivation.RELU, "relu6": FusedActivation.RELU6}
        return int(kinds[self._fused[node.name]]) if node.name in self._fused else int(FusedActivation.NONE)


def _value(source: Value | int) -> Value:
    assert isinstance(source, Value)  # noqa: S101 (an operator's first input is never a constant here)
    return source


def _fused_activations(network: Network) -> dict[str, str]:
    """Kind of activation that an operator applies itself because nothing else reads it, by the operator's node."""
    fusing = (Conv, Linear, Add, Sub, Mul, Pool)
    return {
        name: activation.kind
        for name, activation in sole_readers(network).items()
        if activation.kind in ("relu", "relu6") and isinstance(network.by_name[name].op, fusing)
    }
