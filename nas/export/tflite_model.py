"""A TFLite flatbuffer under construction: tensors, constants, operators, and their bytes at the end."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from types import ModuleType
from typing import Any, TypeAlias

import flatbuffers
import numpy as np
from numpy.typing import NDArray

from nas.export.errors import ExportError
from search_spaces.network import Shape

Field: TypeAlias = float | NDArray[np.int32]
"""Value of one option of an operator."""

# Readers map constants straight into kernels; the schema asks for this alignment.
_ALIGNMENT = 16
_SMALL_BYTES = 256
_FILE_IDENTIFIER = b"TFL3"
_SCHEMA_VERSION = 3


def load_schema() -> ModuleType:
    """The classes generated from the TFLite schema, which the LiteRT package ships.

    Raises:
        ExportError: the package is not installed.
    """
    try:
        return importlib.import_module("ai_edge_litert.schema_py_generated")
    except ImportError as error:
        raise ExportError(
            f"writing TFLite needs the schema that ai-edge-litert ships ({error}); run `pip install ai-edge-litert`"
        ) from error


class FlatModel:
    """Collects the parts of a model with one subgraph and one signature.

    Tensors are referred to by their index. Batch dimensions are part of every shape here.
    """

    def __init__(self) -> None:
        self.schema = load_schema()
        self._types = {
            np.dtype(np.float32): self.schema.TensorType.FLOAT32,
            np.dtype(np.int32): self.schema.TensorType.INT32,
        }
        self._tensors: list[Any] = []
        self._operators: list[Any] = []
        self._codes: dict[int, int] = {}
        self._buffers: list[_Buffer] = [_Buffer(self.schema, None)]
        self._constants: dict[tuple[str, Shape, bytes], int] = {}

    def tensor(self, name: str, shape: Shape) -> int:
        """A float32 tensor that an operator will write or the caller feed."""
        return self._tensor(name, shape, np.dtype(np.float32), 0)

    def constant(self, name: str, array: NDArray[Any]) -> int:
        """A tensor with a value, float32 or int32; small ones of equal value are one tensor, under the first's name."""
        data = np.ascontiguousarray(array)
        key = (data.dtype.str, data.shape, data.tobytes() if data.nbytes <= _SMALL_BYTES else name.encode())
        if key not in self._constants:
            self._buffers.append(_Buffer(self.schema, data))
            self._constants[key] = self._tensor(name, data.shape, data.dtype, len(self._buffers) - 1)
        return self._constants[key]

    def operator(self, kind: str, inputs: Sequence[int], output: int, options: str = "", **fields: Field) -> int:
        """An operator; returns ``output``.

        Args:
            kind: name in the schema's list of built-in operators, such as ``CONV_2D``.
            inputs: tensors it reads.
            output: the tensor it writes.
            options: name of its table of options, such as ``Conv2DOptions``.
            fields: values of the options that are not at their default.
        """
        schema = self.schema
        code = getattr(schema.BuiltinOperator, kind)
        operator = schema.OperatorT(
            opcodeIndex=self._codes.setdefault(code, len(self._codes)),
            inputs=np.array(inputs, np.int32),
            outputs=np.array([output], np.int32),
        )
        if options:
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, options)
            operator.builtinOptions = getattr(schema, f"{options}T")(**fields)
        self._operators.append(operator)
        return output

    def serialise(self, signature: str, inputs: dict[str, int], outputs: dict[str, int]) -> bytes:
        """The bytes of the file, with one signature that names the inputs and outputs."""
        schema = self.schema
        graph = schema.SubGraphT(
            tensors=self._tensors,
            inputs=np.array(list(inputs.values()), np.int32),
            outputs=np.array(list(outputs.values()), np.int32),
            operators=self._operators,
            name="main",
        )
        model = schema.ModelT(
            version=_SCHEMA_VERSION,
            # Codes above 127 do not fit the field that the first readers look at; it then holds a marker.
            operatorCodes=[schema.OperatorCodeT(min(code, 127), None, 1, code) for code in self._codes],
            subgraphs=[graph],
            description="hwnas",
            buffers=self._buffers,
            signatureDefs=[
                schema.SignatureDefT(
                    inputs=[schema.TensorMapT(name, index) for name, index in inputs.items()],
                    outputs=[schema.TensorMapT(name, index) for name, index in outputs.items()],
                    signatureKey=signature,
                )
            ],
        )
        size = sum(buffer.size_bytes + 2 * _ALIGNMENT for buffer in self._buffers)
        builder = flatbuffers.Builder(size + 256 * (len(self._tensors) + len(self._operators)) + 1024)
        builder.Finish(model.Pack(builder), _FILE_IDENTIFIER)
        return bytes(builder.Output())

    def _tensor(self, name: str, shape: Shape, dtype: np.dtype[Any], buffer: int) -> int:
        kind, dims = self._types[dtype], np.array(shape, np.int32)
        self._tensors.append(self.schema.TensorT(shape=dims, type=kind, buffer=buffer, name=name, hasRank=True))
        return len(self._tensors) - 1


class _Buffer:
    """Takes the place of the schema's ``BufferT``, which leaves data unaligned."""

    def __init__(self, schema: ModuleType, array: NDArray[Any] | None) -> None:
        self._schema = schema
        self._array = array
        self.size_bytes = 0 if array is None else array.nbytes

    def Pack(self, builder: flatbuffers.Builder) -> int:  # noqa: N802 (the name that the generated code calls)
        """Write the buffer; returns its offset."""
        vector = None
        if self._array is not None:
            builder.StartVector(1, self.size_bytes, _ALIGNMENT)
            builder.head -= self.size_bytes
            builder.Bytes[builder.head : builder.head + self.size_bytes] = self._array.reshape(-1).view(np.uint8).data
            vector = builder.EndVector()
        self._schema.BufferStart(builder)
        if vector is not None:
            self._schema.BufferAddData(builder, vector)
        offset: int = self._schema.BufferEnd(builder)
        return offset
