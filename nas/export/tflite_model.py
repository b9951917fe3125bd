"""A TFLite model under construction: tensors, constants, operators, and their bytes at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from numpy.typing import NDArray

from nas.export import tflite_schema as schema
from nas.export.flatbuffer import Data, Field, Integers, Table, flatbuffer
from search_spaces.network import Shape

Option: TypeAlias = float | Integers
"""Value of one option of an operator."""

_SMALL_BYTES = 256
_LARGEST_FIRST_CODE = 127


class FlatModel:
    """Collects the parts of a model with one subgraph and one signature.

    Tensors are referred to by their index. Batch dimensions are part of every shape here.
    """

    def __init__(self) -> None:
        self._tensors: list[Table] = []
        self._operators: list[Table] = []
        self._codes: dict[int, int] = {}
        # The first buffer is empty: that of tensors which have no value of their own.
        self._buffers = [Table(schema.BUFFER, {})]
        self._constants: dict[tuple[str, Shape, bytes], int] = {}

    def tensor(self, name: str, shape: Shape) -> int:
        """A float32 tensor that an operator will write or the caller feed."""
        return self._tensor(name, shape, schema.FLOAT32, 0)

    def constant(self, name: str, array: NDArray[Any]) -> int:
        """A tensor with a value, float32 or int32; small ones of equal value are one tensor, under the first's name."""
        kind = array.dtype.str
        key = (kind, array.shape, array.tobytes() if array.nbytes <= _SMALL_BYTES else name.encode())
        if key not in self._constants:
            self._buffers.append(Table(schema.BUFFER, {"data": Data(array)}))
            self._constants[key] = self._tensor(name, array.shape, kind, len(self._buffers) - 1)
        return self._constants[key]

    def operator(self, kind: str, inputs: Sequence[int], output: int, options: str = "", **fields: Option) -> int:
        """An operator; returns ``output``.

        Args:
            kind: name in the schema's list of built-in operators, such as ``CONV_2D``.
            inputs: tensors it reads.
            output: the tensor it writes.
            options: name of its table of options, such as ``Conv2DOptions``.
            fields: values of the options that are not at their default.
        """
        code = self._codes.setdefault(schema.OPERATORS[kind], len(self._codes))
        values: dict[str, Field] = {"opcodeIndex": code, "inputs": Integers(inputs), "outputs": Integers((output,))}
        if options:
            values["builtinOptionsType"], table = schema.OPTIONS[options]
            values["builtinOptions"] = Table(table, fields)
        self._operators.append(Table(schema.OPERATOR, values))
        return output

    def serialise(self, signature: str, inputs: Mapping[str, int], outputs: Mapping[str, int]) -> bytes:
        """The bytes of the file, with one signature that names the inputs and outputs."""
        graph: dict[str, Field] = {
            "tensors": self._tensors,
            "inputs": Integers(list(inputs.values())),
            "outputs": Integers(list(outputs.values())),
            "operators": self._operators,
            "name": "main",
        }
        named: dict[str, Field] = {"inputs": _named(inputs), "outputs": _named(outputs), "signatureKey": signature}
        model: dict[str, Field] = {
            "version": schema.VERSION,
            "operatorCodes": [_code(code) for code in self._codes],
            "subgraphs": [Table(schema.SUBGRAPH, graph)],
            "description": "hwnas",
            "buffers": self._buffers,
            "signatureDefs": [Table(schema.SIGNATURE, named)],
        }
        return flatbuffer(Table(schema.MODEL, model), schema.IDENTIFIER)

    def _tensor(self, name: str, shape: Shape, kind: str, buffer: int) -> int:
        values: dict[str, Field] = {
            "shape": Integers(shape),
            "type": schema.TENSOR_TYPES[kind],
            "buffer": buffer,
            "name": name,
            "hasRank": True,
        }
        self._tensors.append(Table(schema.TENSOR, values))
        return len(self._tensors) - 1


def _code(code: int) -> Table:
    # Codes above 127 do not fit the field that the first readers look at; it then holds a marker.
    first = min(code, _LARGEST_FIRST_CODE)
    return Table(schema.OPERATOR_CODE, {"deprecatedBuiltinCode": first, "builtinCode": code})


def _named(tensors: Mapping[str, int]) -> list[Table]:
    return [Table(schema.TENSOR_MAP, {"name": name, "tensorIndex": index}) for name, index in tensors.items()]
