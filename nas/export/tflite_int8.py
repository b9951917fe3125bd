"""INT8 TFLite files by ai-edge-quantizer, arranged so that XNNPACK's integer kernels run.

XNNPACK takes every operator of an int8 convolutional network but hard swish: the runtime's own int8 kernel for it took
some 25 times as long as the float32 one, and splits the network at every use. So it is spelt ``x * relu6(x + 3) / 6``,
three passes that together took about as long as one in float32. Layer norms stay in float32: a variance and its inverse
root have no useful 8-bit range.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import re
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from devices.native_log import without_greeting
from nas.export.errors import ExportError
from nas.export.ranges import BATCH, Calibration, KnownRanges, RangeObserver, check_images
from nas.export.tflite_writer import tflite_file
from nas.export.weights import Weights
from nas.files import write_bytes
from search_spaces.network import LayerNorm, Network


def write_tflite_int8(network: Network, weights: Weights, path: Path, images: Calibration) -> None:
    """Write a network as a TFLite file with int8 weights, one scale per channel, and int8 activations.

    Input and output stay float32, so callers feed normalised images and read logits whatever the precision. Equal
    inputs give equal bytes.

    Args:
        network: what to write.
        weights: its deployed weights.
        path: where to; replaced atomically.
        images: calibration images, normalised, channels first: shape ``(images, *input shape)``; or known ranges, for a
            file that is only timed.

    Raises:
        ExportError: a weight or the images do not fit the network, or a package is not installed.
    """
    if not isinstance(images, KnownRanges):
        images = _channels_last(network, images)
    model = tflite_file(network, weights, integer=True)
    norms = [node.name for node in network.nodes if isinstance(node.op, LayerNorm)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that keeping every tensor takes memory, which is the point here
        quantised = _quantise(model, _ranges(model, images), norms)
    write_bytes(path, quantised)


def tflite_ranges(network: Network, weights: Weights, images: NDArray[np.float32]) -> KnownRanges:
    """Ranges of a network's tensors over images, to be lent to other networks of its space.

    Raises:
        ExportError: a weight or the images do not fit the network.
    """
    images = _channels_last(network, images)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        interpreter = _interpreter(tflite_file(network, weights, integer=True))
    return KnownRanges(_observed(interpreter, images))


def _channels_last(network: Network, images: NDArray[np.float32]) -> NDArray[np.float32]:
    images = check_images(network, images)
    return np.ascontiguousarray(images.transpose(0, 2, 3, 1)) if len(network.input.shape) == 3 else images


def _interpreter(model: bytes) -> Any:  # noqa: ANN401 (a class of a package that may be missing)
    litert = _load("ai_edge_litert.interpreter")
    return litert.Interpreter(model_content=model, num_threads=1, experimental_preserve_all_tensors=True)


def _ranges(model: bytes, images: Calibration) -> dict[str, dict[str, NDArray[np.float32]]]:
    """Range of every tensor, over the images or as it is known, as the quantiser takes them."""
    interpreter = _interpreter(model)
    if isinstance(images, KnownRanges):
        ranges = {tensor["name"]: images.of(tensor["name"]) for tensor in _quantised_tensors(interpreter)}
    else:
        ranges = _observed(interpreter, images)
    ranks = {tensor["name"]: len(tensor["shape"]) for tensor in interpreter.get_tensor_details()}
    return {
        name: {
            "min": np.full((1,) * ranks[name], low, np.float32),
            "max": np.full((1,) * ranks[name], high, np.float32),
        }
        for name, (low, high) in ranges.items()
    }


def _observed(interpreter: Any, images: NDArray[np.float32]) -> dict[str, tuple[float, float]]:  # noqa: ANN401 (see above)
    """Range of every tensor over the images."""
    observer = RangeObserver()
    source = interpreter.get_input_details()[0]["index"]
    for start in range(0, len(images), BATCH):
        batch = images[start : start + BATCH]
        interpreter.resize_tensor_input(source, batch.shape)
        with without_greeting():
            interpreter.allocate_tensors()
        interpreter.set_tensor(source, batch)
        interpreter.invoke()
        for tensor in _quantised_tensors(interpreter):
            observer.observe(tensor["name"], interpreter.get_tensor(tensor["index"]))
    return observer.ranges()


def _quantised_tensors(interpreter: Any) -> list[dict[str, Any]]:  # noqa: ANN401 (see above)
    """Tensors that get a range: one given for a weight would be one for all its channels, so each finds its own."""
    tensors = interpreter.get_tensor_details()
    return [t for t in tensors if t["dtype"] is np.float32 and not t["name"].endswith(".weight")]


def _quantise(model: bytes, ranges: dict[str, dict[str, NDArray[np.float32]]], float_nodes: list[str]) -> bytes:
    """The model with everything in int8 but its input, its output and the operators of these nodes."""
    package = _load("ai_edge_quantizer.quantizer")
    operators = _load("ai_edge_quantizer.qtyping").TFLOperationName
    keep: dict[str, Any] = {"algorithm_key": package.AlgorithmName.NO_QUANTIZE}
    quantizer = package.Quantizer(bytearray(model))
    quantizer.add_static_config(".*", operators.ALL_SUPPORTED, activation_num_bits=8, weight_num_bits=8)
    for boundary in (operators.INPUT, operators.OUTPUT):
        quantizer.update_quantization_recipe(".*", boundary, **keep)
    if float_nodes:
        # Operators are found by their output's name: the node's own, or one step of it.
        names = "|".join(re.escape(name) for name in float_nodes)
        quantizer.update_quantization_recipe(rf"^(?:{names})(?:\.[a-z]+)?;$", operators.ALL_SUPPORTED, **keep)
    with contextlib.redirect_stderr(io.StringIO()):  # a progress bar that has no switch
        result = quantizer.quantize(ranges, enable_progress_bar=False, enable_progress_report=False)
    return bytes(result.quantized_model)


def _load(module: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.split(".", maxsplit=1)[0].replace("_", "-")
        raise ExportError(f"INT8 TFLite needs {package} ({error}); run `pip install {package}`") from error
