"""``Network`` and deployed weights to ONNX, written node by node."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from nas.export.graph import INPUT_NAME, OUTPUT_NAME, gated_layers, live_nodes
from nas.export.weights import Weights, bias_of, folded, pairwise_bias, shifted_bias, weight_of
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

# The lowest version with LayerNormalization, and so the one most runtimes can read; HardSwish is in it since 14.
OPSET = 17
IR_VERSION = 8
# Name of the constant 1/6: the products with it are gates, whose ranges are known.
SIXTH = "constant.sixth"


def write_onnx(network: Network, weights: Weights, path: Path) -> None:
    """Write a network as a float32 ONNX file: NCHW, batch of 1, opset 17.

    Its input is called ``image`` and its output ``logits``. Equal inputs give equal bytes.

    Args:
        network: what to write.
        weights: its deployed weights.
        path: where to; replaced atomically.

    Raises:
        ExportError: a weight is missing or does not fit the network.
    """
    write_bytes(path, onnx_model(network, weights).SerializeToString(deterministic=True))


def onnx_model(network: Network, weights: Weights, *, integer: bool = False) -> onnx.ModelProto:
    """The model that ``write_onnx`` writes.

    Args:
        network: what to write.
        weights: its deployed weights.
        integer: spell differences and hard activations in sums, clips and products, for which runtimes have integer
            kernels.

    Raises:
        ExportError: a weight is missing or does not fit the network.
    """
    return _Writer(*folded(network, weights), integer=integer).model()


class _Writer:
    def __init__(self, network: Network, weights: Weights, *, integer: bool) -> None:
        self._network = network
        self._weights = weights
        self._integer = integer
        self._gated = gated_layers(network) if integer else frozenset()
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: dict[str, onnx.TensorProto] = {}
        self._names = {network.output.name: OUTPUT_NAME, network.input.name: INPUT_NAME}

    def model(self) -> onnx.ModelProto:
        for node in live_nodes(self._network):
            self._write(node)
        inputs, outputs = (
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, *node.shape))]
            for name, node in ((INPUT_NAME, self._network.input), (OUTPUT_NAME, self._network.output))
        )
        graph = helper.make_graph(self._nodes, "network", inputs, outputs, list(self._initializers.values()))
        opsets = [helper.make_opsetid("", OPSET)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="hwnas")

    def _write(self, node: Node) -> None:  # noqa: PLR0912 (a case per operation)
        inputs = [self._name(name) for name in node.inputs]
        match node.op:
            case Conv() as conv:
                parameters = [self._weight(node), *self._bias(node)]
                shape, stride = [conv.kernel] * 2, [conv.stride] * 2
                attributes = {"kernel_shape": shape, "strides": stride, "group": conv.groups, "pads": list(conv.pads)}
                self._add("Conv", [*inputs, *parameters], node, **attributes)
            case Linear():
                self._linear(node, inputs)
            case Activation(kind):
                self._activation(node, kind, inputs[0])
            case Add():
                self._add("Add", inputs, node)
            case Sub() if self._integer:
                minus = [inputs[1], self._constant(np.array(-1, np.float32))]
                self._add("Add", [inputs[0], self._step("Mul", minus, node, "negative")], node)
            case Sub():
                self._add("Sub", inputs, node)
            case Mul():
                self._add("Mul", inputs, node)
            case Scale():
                vector = weight_of(self._weights, node)
                shaped = vector.reshape(-1, 1, 1) if len(node.shape) == 3 else vector
                self._add("Mul", [*inputs, self._initializer(f"{node.name}.weight", shaped)], node)
            case RelativeBias():
                pairs = pairwise_bias(self._weights, node)
                self._add("Add", [*inputs, self._initializer(f"{node.name}.weight", pairs)], node)
            case Pool() as pool:
                extra = {"count_include_pad": 0} if pool.kind == "average" else {}
                shape, stride = [pool.kernel] * 2, [pool.stride] * 2
                name = "AveragePool" if pool.kind == "average" else "MaxPool"
                self._add(name, inputs, node, kernel_shape=shape, strides=stride, pads=list(pool.pads), **extra)
            case GlobalPool():
                self._add("GlobalAveragePool", inputs, node)
            case Reshape():
                # 0 keeps the batch, so that the same graph also runs on batches (calibration does).
                shape_name = self._constant(np.array([0, *node.shape], np.int64))
                self._add("Reshape", [inputs[0], shape_name], node)
            case Transpose(axes):
                self._add("Transpose", inputs, node, perm=[0, *(axis + 1 for axis in axes)])
            case MatMul(scale):
                self._matmul(node, inputs, scale)
            case Softmax():
                self._add("Softmax", inputs, node, axis=-1)
            case Concat():
                self._add("Concat", inputs, node, axis=1)
            case LayerNorm() as norm:
                parameters = [self._weight(node), *self._bias(node)]
                self._add("LayerNormalization", [*inputs, *parameters], node, axis=-1, epsilon=norm.epsilon)
            case Input():  # pragma: no cover (a network has one input, its first node)
                raise AssertionError(node)

    def _linear(self, node: Node, inputs: list[str]) -> None:
        if len(node.shape) == 1:
            self._add("Gemm", [*inputs, self._weight(node), *self._bias(node)], node, transB=1)
            return
        transposed = np.ascontiguousarray(weight_of(self._weights, node).T)
        product = [inputs[0], self._initializer(f"{node.name}.weight", transposed)]
        bias = self._bias(node)
        if bias:
            self._add("Add", [self._step("MatMul", product, node, "product"), *bias], node)
        else:
            self._add("MatMul", product, node)

    def _matmul(self, node: Node, inputs: list[str], scale: float) -> None:
        if scale == 1.0:
            self._add("MatMul", inputs, node)
        else:
            factor = self._constant(np.array(scale, np.float32))
            self._add("Mul", [self._step("MatMul", inputs, node, "product"), factor], node)

    def _activation(self, node: Node, kind: ActivationKind, source: str) -> None:
        match kind:
            case "relu":
                self._add("Relu", [source], node)
            case "relu6":
                bounds = [self._constant(np.array(value, np.float32)) for value in (0, 6)]
                self._add("Clip", [source, *bounds], node)
            case "hard_swish" if self._integer:
                gate = self._step("Mul", self._clipped(node, source), node, "gate")
                self._add("Mul", [source, gate], node)
            case "hard_swish":
                self._add("HardSwish", [source], node)
            case "hard_sigmoid" if self._integer:
                self._add("Mul", self._clipped(node, source), node)
            case "hard_sigmoid":
                self._add("HardSigmoid", [source], node, alpha=1 / 6, beta=0.5)
            case "sigmoid":
                self._add("Sigmoid", [source], node)
            case "swish":
                self._add("Mul", [source, self._step("Sigmoid", [source], node, "gate")], node)
            case "gelu":
                # x / 2 (1 + erf(x / sqrt 2)), in the order that ONNX Runtime recognises and fuses.
                scaled = self._step("Div", [source, self._constant(np.array(2**0.5, np.float32))], node, "scaled")
                erf = self._step("Erf", [scaled], node, "erf")
                gate = self._step("Add", [erf, self._constant(np.array(1, np.float32))], node, "gate")
                product = self._step("Mul", [source, gate], node, "product")
                self._add("Mul", [product, self._constant(np.array(0.5, np.float32))], node)

    def _clipped(self, node: Node, source: str) -> list[str]:
        """Names of ``clip(x + 3, 0, 6)`` and of 1/6; a layer read by nothing else has added the 3 to its bias."""
        if node.inputs[0] not in self._gated:
            source = self._step("Add", [source, self._constant(np.array(3, np.float32))], node, "shifted")
        bounds = [self._constant(np.array(value, np.float32)) for value in (0, 6)]
        clipped = self._step("Clip", [source, *bounds], node, "clipped")
        return [clipped, self._initializer(SIXTH, np.array(1 / 6, np.float32))]

    def _name(self, node: str) -> str:
        # The quantiser calls the scale of a tensor x "x_scale", which a node may be called too.
        return self._names.get(node, f"{node}.output" if self._integer else node)

    def _weight(self, node: Node) -> str:
        return self._initializer(f"{node.name}.weight", weight_of(self._weights, node))

    def _bias(self, node: Node) -> list[str]:
        gated = node.name in self._gated
        bias = shifted_bias(self._weights, node, 3) if gated else bias_of(self._weights, node)
        return [] if bias is None else [self._initializer(f"{node.name}.bias", bias)]

    def _constant(self, array: NDArray[Any]) -> str:
        """An initialiser named by its value, so that nodes share it."""
        values = "_".join(str(value) for value in array.reshape(-1).tolist())
        return self._initializer(f"constant.{array.dtype}.{array.ndim}.{values}", array)

    def _initializer(self, name: str, array: NDArray[Any]) -> str:
        if name not in self._initializers:
            self._initializers[name] = numpy_helper.from_array(array, name)
        return name

    def _step(self, kind: str, inputs: list[str], node: Node, suffix: str) -> str:
        """Add an operator that is one of several making up ``node``; returns its output's name."""
        name = f"{node.name}.{suffix}"
        self._nodes.append(helper.make_node(kind, inputs, [name], name))
        return name

    def _add(self, kind: str, inputs: list[str], node: Node, **attributes: Any) -> None:  # noqa: ANN401
        """Add the operator that computes the output of ``node``."""
        self._nodes.append(helper.make_node(kind, inputs, [self._name(node.name)], node.name, **attributes))
