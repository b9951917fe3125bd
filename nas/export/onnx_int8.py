"""INT8 ONNX files by ONNX Runtime's static quantisation, arranged so that integer kernels run.

Weights are int8, one scale per output channel; activations uint8, one scale and zero point per tensor. On an x86
processor with VNNI and AMX, int8 activations were no more accurate and took half as long again, since sums, pools and a
quarter of the convolutions fell back to float32; uint8 weights were slower too. Weights keep all 8 bits: processors
without VNNI may saturate.

ONNX Runtime has no integer hard swish, and computing it in float32 costs four passes over each feature map. Here it is
``x * clip(x + 3, 0, 6) / 6``: an integer sum whose saturation is the clip, an integer product, and no division at
all, because the stored clip is read with a sixth of the scale that it was written with.
"""

from __future__ import annotations

from collections.abc import Iterable, MutableSequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.quantization import QDQQuantizer, QuantType
from onnxruntime.quantization.calibrate import CalibrationMethod, TensorData, TensorsData

from nas.export.graph import INPUT_NAME, OUTPUT_NAME
from nas.export.onnx_writer import SIXTH, onnx_model
from nas.export.ranges import BATCH, Calibration, KnownRanges, RangeObserver, check_images
from nas.export.weights import Weights
from nas.files import write_bytes
from search_spaces.network import Network

T = TypeVar("T")

_QUANTISED = (
    "Add", "AveragePool", "Clip", "Concat", "Conv", "Gemm", "GlobalAveragePool", "MatMul", "MaxPool", "Mul", "Relu",
    "Reshape", "Sigmoid", "Softmax", "Transpose",
)  # fmt: skip


def write_onnx_int8(
    network: Network, weights: Weights, path: Path, images: Calibration, *, symmetric: bool = False
) -> None:
    """Write a network as an INT8 ONNX file; input and output stay float32. Equal inputs give equal bytes.

    Args:
        network: what to write.
        weights: its deployed weights.
        path: where to; replaced atomically.
        images: calibration images, normalised, shape ``(images, *input shape)``; or known ranges, for a file that is
            only timed.
        symmetric: activations are int8 and all zero points 0, and biases stay float32: the only INT8 that TensorRT
            reads. Processors compute it more slowly, and ranges that lie on one side of 0 lose a bit.

    Raises:
        ExportError: a weight or the images do not fit the network.
    """
    if not isinstance(images, KnownRanges):
        images = check_images(network, images)
    model = onnx.shape_inference.infer_shapes(onnx_model(network, weights, integer=True))
    gates = _gates(model)
    if isinstance(images, KnownRanges):
        ranges = {name: images.of(name) for name in [INPUT_NAME, *_written(model)]}
    else:
        ranges = _ranges(model, images)
    for clipped, gate in gates.items():
        ranges[clipped], ranges[gate] = (0.0, 6.0), (0.0, 1.0)
    quantised = _quantise(model, ranges, symmetric)
    for clipped in gates:
        _reread(quantised.graph, clipped)
    _keep_output_exact(quantised.graph)
    _tidy(quantised.graph)
    write_bytes(path, quantised.SerializeToString(deterministic=True))


def onnx_ranges(network: Network, weights: Weights, images: NDArray[np.float32]) -> KnownRanges:
    """Ranges of a network's tensors over images, to be lent to other networks of its space.

    Raises:
        ExportError: a weight or the images do not fit the network.
    """
    return KnownRanges(_ranges(onnx_model(network, weights, integer=True), check_images(network, images)))


def _written(model: onnx.ModelProto) -> list[str]:
    """Names of all tensors that operators write."""
    return [name for node in model.graph.node for name in node.output]


def _gates(model: onnx.ModelProto) -> dict[str, str]:
    """Clipped sums that are divided by 6, and the names of the quotients."""
    return {node.input[0]: node.output[0] for node in model.graph.node if SIXTH in node.input}


def _ranges(model: onnx.ModelProto, images: NDArray[np.float32]) -> dict[str, tuple[float, float]]:
    """Range of every tensor that an operator writes, and of the input, over the images."""
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    probe.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    del probe.graph.output[:], probe.graph.value_info[:]
    names = _written(probe)
    probe.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(probe.SerializeToString(), options, providers=["CPUExecutionProvider"])
    observer = RangeObserver()
    observer.observe(INPUT_NAME, images)
    for start in range(0, len(images), BATCH):
        values = session.run(names, {INPUT_NAME: images[start : start + BATCH]})
        for name, value in zip(names, values, strict=True):
            observer.observe(name, value)
    return observer.ranges()


def _quantise(model: onnx.ModelProto, ranges: dict[str, tuple[float, float]], symmetric: bool) -> onnx.ModelProto:
    data = {
        name: TensorData(lowest=np.array(low, np.float32), highest=np.array(high, np.float32))
        for name, (low, high) in ranges.items()
    }
    quantizer = QDQQuantizer(
        model,
        per_channel=True,
        reduce_range=False,
        weight_qType=QuantType.QInt8,
        activation_qType=QuantType.QInt8 if symmetric else QuantType.QUInt8,
        tensors_range=TensorsData(CalibrationMethod.MinMax, data),
        nodes_to_quantize=[],
        nodes_to_exclude=_float_nodes(model),
        op_types_to_quantize=list(_QUANTISED),
        extra_options={"ActivationSymmetric": True, "QuantizeBias": False} if symmetric else {},
    )
    quantizer.quantize_model()
    quantised: onnx.ModelProto = quantizer.model.model
    return quantised


def _float_nodes(model: onnx.ModelProto) -> list[str]:
    """Nodes around an error function: ONNX Runtime merges them into one float32 gelu where no 8-bit step is between."""
    nodes = list(model.graph.node)
    excluded = []
    for node in nodes:
        if node.op_type == "Erf":
            prefix = node.name.removesuffix(".erf")
            excluded += [other.name for other in nodes if other.name == prefix or other.name.startswith(f"{prefix}.")]
    return excluded


def _reread(graph: onnx.GraphProto, clipped: str) -> None:
    """Make the readers of the gate read the stored ``clipped`` with the gate's scale: a division by 6 at no cost."""
    (product,) = _readers(graph, f"{clipped}_DequantizeLinear_Output")
    (rounding,) = _readers(graph, product.output[0])
    for gate in _readers(graph, rounding.output[0]):
        gate.input[0] = f"{clipped}_QuantizeLinear_Output"


def _keep_output_exact(graph: onnx.GraphProto) -> None:
    """Leave the result of a last matrix product in float32: rounding logits to 8 bits would make ties."""
    last = _producer(graph, graph.output[0].name)
    if last.op_type != "DequantizeLinear":
        return
    rounding = _producer(graph, last.input[0])
    product = _producer(graph, rounding.input[0])
    if product.op_type == "Gemm":
        product.output[0] = OUTPUT_NAME
        last.output[0] = f"{OUTPUT_NAME}.unused"


def _tidy(graph: onnx.GraphProto) -> None:
    """Put nodes in an order in which they can be computed, and drop what the output does not depend on."""
    producers = {name: node for node in graph.node for name in node.output}
    ordered: dict[str, onnx.NodeProto] = {}
    read = set()
    stack = [(graph.output[0].name, False)]
    while stack:
        name, inputs_done = stack.pop()
        node = producers.get(name)
        read.add(name)
        if node is None or node.output[0] in ordered:
            continue
        if inputs_done:
            ordered[node.output[0]] = node
        else:
            stack += [(name, True), *((source, False) for source in reversed(node.input))]
    _replace(graph.node, ordered.values())
    _replace(graph.initializer, [tensor for tensor in graph.initializer if tensor.name in read])


def _replace(field: MutableSequence[T], values: Iterable[T]) -> None:
    kept = list(values)
    del field[:]
    field.extend(kept)


def _producer(graph: onnx.GraphProto, name: str) -> onnx.NodeProto:
    node: onnx.NodeProto = next(node for node in graph.node if name in node.output)
    return node


def _readers(graph: onnx.GraphProto, name: str) -> list[onnx.NodeProto]:
    return [node for node in graph.node if name in node.input]
