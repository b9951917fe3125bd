"""Model files written directly from a network and its deployed weights: ONNX, TFLite, and the network itself."""

from nas.export.artifacts import FILE_NAMES, STANDARD_VARIANTS, export_artifacts, known_ranges, workload
from nas.export.errors import ExportError
from nas.export.network_file import read_network, write_network
from nas.export.onnx_int8 import write_onnx_int8
from nas.export.onnx_writer import write_onnx
from nas.export.ranges import KnownRanges
from nas.export.tflite_int8 import write_tflite_int8
from nas.export.tflite_writer import write_tflite
from nas.export.weights import Weights

__all__ = [
    "FILE_NAMES",
    "STANDARD_VARIANTS",
    "ExportError",
    "KnownRanges",
    "Weights",
    "export_artifacts",
    "known_ranges",
    "read_network",
    "workload",
    "write_network",
    "write_onnx",
    "write_onnx_int8",
    "write_tflite",
    "write_tflite_int8",
]
