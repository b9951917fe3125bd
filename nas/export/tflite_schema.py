"""The parts of TFLite's schema that are written here: slots, codes and enumerations never change once published.

Source: ``tensorflow/compiler/mlir/lite/schema/schema.fbs``.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

from nas.export.flatbuffer import Kind

IDENTIFIER = b"TFL3"
VERSION = 3


class FusedActivation(IntEnum):
    """Activation that an operator applies itself (``ActivationFunctionType``)."""

    NONE = 0
    RELU = 1
    RELU6 = 3


class Padding(IntEnum):
    """How far windows reach over the border."""

    SAME = 0
    VALID = 1


class MirrorPadMode(IntEnum):
    """Whether a mirrored border repeats the outermost elements."""

    REFLECT = 0
    SYMMETRIC = 1


FLOAT32, INT32 = "<f4", "<i4"
TENSOR_TYPES: Mapping[str, int] = {FLOAT32: 0, INT32: 2}
"""``TensorType`` by what NumPy calls it in files."""

MODEL = Kind(
    {
        "version": (0, "I"),
        "operatorCodes": (1, ""),
        "subgraphs": (2, ""),
        "description": (3, ""),
        "buffers": (4, ""),
        "signatureDefs": (7, ""),
    }
)
OPERATOR_CODE = Kind({"deprecatedBuiltinCode": (0, "b"), "builtinCode": (3, "i")})
SUBGRAPH = Kind({"tensors": (0, ""), "inputs": (1, ""), "outputs": (2, ""), "operators": (3, ""), "name": (4, "")})
TENSOR = Kind({"shape": (0, ""), "type": (1, "b"), "buffer": (2, "I"), "name": (3, ""), "hasRank": (8, "?")})
OPERATOR = Kind(
    {
        "opcodeIndex": (0, "I"),
        "inputs": (1, ""),
        "outputs": (2, ""),
        "builtinOptionsType": (3, "B"),
        "builtinOptions": (4, ""),
    }
)
BUFFER = Kind({"data": (0, "")})
SIGNATURE = Kind({"inputs": (0, ""), "outputs": (1, ""), "signatureKey": (2, "")})
TENSOR_MAP = Kind({"name": (0, ""), "tensorIndex": (1, "I")})

OPERATORS: Mapping[str, int] = {
    "ADD": 0,
    "AVERAGE_POOL_2D": 1,
    "CONCATENATION": 2,
    "CONV_2D": 3,
    "DEPTHWISE_CONV_2D": 4,
    "FULLY_CONNECTED": 9,
    "LOGISTIC": 14,
    "MAX_POOL_2D": 17,
    "MUL": 18,
    "RELU": 19,
    "RELU6": 21,
    "RESHAPE": 22,
    "SOFTMAX": 25,
    "PAD": 34,
    "TRANSPOSE": 39,
    "MEAN": 40,
    "SUB": 41,
    "RSQRT": 76,
    "SQUARED_DIFFERENCE": 99,
    "MIRROR_PAD": 100,
    "HARD_SWISH": 117,
    "BATCH_MATMUL": 126,
    "GELU": 150,
}
"""``BuiltinOperator`` by name."""

_FUSED = {"fusedActivationFunction": (0, "b")}
_WINDOW = {"padding": (0, "b"), "strideW": (1, "i"), "strideH": (2, "i")}

OPTIONS: Mapping[str, tuple[int, Kind]] = {
    "Conv2DOptions": (
        1,
        Kind(
            {
                **_WINDOW,
                "fusedActivationFunction": (3, "b"),
                "dilationWFactor": (4, "i"),
                "dilationHFactor": (5, "i"),
            }
        ),
    ),
    "DepthwiseConv2DOptions": (
        2,
        Kind(
            {
                **_WINDOW,
                "depthMultiplier": (3, "i"),
                "fusedActivationFunction": (4, "b"),
                "dilationWFactor": (5, "i"),
                "dilationHFactor": (6, "i"),
            }
        ),
    ),
    "Pool2DOptions": (
        5,
        Kind(
            {
                **_WINDOW,
                "filterWidth": (3, "i"),
                "filterHeight": (4, "i"),
                "fusedActivationFunction": (5, "b"),
            }
        ),
    ),
    "FullyConnectedOptions": (8, Kind({**_FUSED, "keepNumDims": (2, "?")})),
    "SoftmaxOptions": (9, Kind({"beta": (0, "f")})),
    "ConcatenationOptions": (10, Kind({"axis": (0, "i"), "fusedActivationFunction": (1, "b")})),
    "AddOptions": (11, Kind(_FUSED)),
    "ReshapeOptions": (17, Kind({"newShape": (0, "")})),
    "MulOptions": (21, Kind(_FUSED)),
    "PadOptions": (22, Kind({})),
    "TransposeOptions": (26, Kind({})),
    "ReducerOptions": (27, Kind({"keepDims": (0, "?")})),
    "SubOptions": (28, Kind(_FUSED)),
    "SquaredDifferenceOptions": (76, Kind({})),
    "MirrorPadOptions": (77, Kind({"mode": (0, "b")})),
    "HardSwishOptions": (91, Kind({})),
    "BatchMatMulOptions": (101, Kind({"adjX": (0, "?"), "adjY": (1, "?")})),
    "GeluOptions": (116, Kind({"approximate": (0, "?")})),
}
"""``BuiltinOptions`` by name: code in the union, and the table."""
