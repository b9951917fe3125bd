"""The model files of one network, in every format and precision that is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from devices import Artifact, Format, Precision, Workload
from nas.export.errors import ExportError
from nas.export.network_file import write_network
from nas.export.onnx_int8 import onnx_ranges, write_onnx_int8
from nas.export.onnx_writer import write_onnx
from nas.export.ranges import Calibration, KnownRanges
from nas.export.tflite_int8 import tflite_ranges, write_tflite_int8
from nas.export.tflite_writer import write_tflite
from nas.export.weights import Weights
from search_spaces import Network, macs, parameters

Variant: TypeAlias = tuple[Format, Precision]

FILE_NAMES: dict[Variant, str] = {
    ("onnx", "float32"): "model.onnx",
    ("onnx", "int8"): "model.int8.onnx",
    ("onnx", "int8_symmetric"): "model.int8_symmetric.onnx",
    ("tflite", "float32"): "model.tflite",
    ("tflite", "int8"): "model.int8.tflite",
    ("network", "float32"): "model.network.safetensors",
}
"""Name of the file of every variant that can be written."""

_FOR_SOME_DEVICES: tuple[Variant, ...] = (("onnx", "int8_symmetric"), ("network", "float32"))
STANDARD_VARIANTS: tuple[Variant, ...] = tuple(variant for variant in FILE_NAMES if variant not in _FOR_SOME_DEVICES)
"""What is written where nothing else is asked for; the others are for some devices only."""


def export_artifacts(
    network: Network,
    weights: Weights,
    directory: Path,
    images: NDArray[np.float32] | Mapping[Format, KnownRanges],
    variants: Sequence[Variant] = STANDARD_VARIANTS,
) -> dict[Variant, Artifact]:
    """Write the model files of a network; equal inputs give equal bytes, and so equal digests.

    INT8 scales come from running the network on the images, so their last digit may differ between kinds of processor.

    Every ONNX and TFLite file takes one normalised float32 image under the name ``image`` (ONNX: channels first,
    TFLite: channels last) and gives float32 ``logits``, INT8 files too.

    Args:
        network: what to write; its input is an image ``(channels, height, width)``.
        weights: its deployed weights.
        directory: where to; made if missing. Files in it are replaced, each atomically.
        images: normalised calibration images ``(images, channels, height, width)``; or, for files that are only timed,
            ``known_ranges`` of another network of the space. Only INT8 uses them.
        variants: which files, each a (format, precision).

    Raises:
        ExportError: an unknown variant, or weights or images that do not fit the network.
    """
    unknown = [variant for variant in variants if variant not in FILE_NAMES]
    if unknown:
        raise ExportError(f"cannot export {unknown}; there are {list(FILE_NAMES)}")
    if len(network.input.shape) != 3:
        raise ExportError(f"the network's input has shape {network.input.shape}; give one that reads an image")
    channels, height, width = network.input.shape
    shape = (channels, height, width)
    artifacts = {}
    for variant in dict.fromkeys(variants):
        path = directory / FILE_NAMES[variant]
        _write(variant, network, weights, path, images[variant[0]] if isinstance(images, Mapping) else images)
        artifacts[variant] = Artifact.from_file(
            path, format=variant[0], precision=variant[1], input_shape=shape, workload=workload(network)
        )
    return artifacts


def known_ranges(
    network: Network, weights: Weights, images: NDArray[np.float32], variants: Sequence[Variant]
) -> dict[Format, KnownRanges]:
    """Ranges of one network, for INT8 files of others of its space that are only timed; empty where none is INT8.

    Raises:
        ExportError: weights or images that do not fit the network.
    """
    find = {"onnx": onnx_ranges, "tflite": tflite_ranges}
    quantised = {kind for kind, precision in variants if precision != "float32"}
    return {
        kind: find[kind](network, weights, images) if kind in quantised else KnownRanges({})
        for kind in dict.fromkeys(kind for kind, _ in variants)
    }


def workload(network: Network) -> Workload:
    """What one inference takes, counted."""
    elements = sum(prod(node.shape) for node in network.nodes)
    return Workload(macs=macs(network), parameters=parameters(network), activation_elements=elements)


def _write(variant: Variant, network: Network, weights: Weights, path: Path, images: Calibration) -> None:
    match variant:
        case ("onnx", "float32"):
            write_onnx(network, weights, path)
        case ("tflite", "float32"):
            write_tflite(network, weights, path)
        case ("onnx", "int8"):
            write_onnx_int8(network, weights, path, images)
        case ("onnx", "int8_symmetric"):
            write_onnx_int8(network, weights, path, images, symmetric=True)
        case ("tflite", "int8"):
            write_tflite_int8(network, weights, path, images)
        case ("network", "float32"):
            write_network(network, weights, path)
