"""Files written front to back are read by the library's own reader."""

from __future__ import annotations

import importlib
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.export import tflite_schema as schema
from nas.export.flatbuffer import Data, Integers, Kind, Table, flatbuffer

int32 = st.integers(-(2**31), 2**31 - 1)


def read(file: bytes) -> Any:
    return importlib.import_module("ai_edge_litert.schema_py_generated").ModelT.InitFromPackedBuf(file)


@given(
    st.lists(st.tuples(st.text(max_size=9), st.lists(int32, max_size=5), st.booleans()), max_size=5),
    st.lists(st.binary(max_size=70), max_size=4),
    st.integers(0, 2**32 - 1),
)
def test_what_is_written_is_read(tensors: list[tuple[str, list[int], bool]], data: list[bytes], version: int) -> None:
    tables = [
        Table(schema.TENSOR, {"name": name, "shape": Integers(shape), "hasRank": ranked, "type": 2})
        for name, shape, ranked in tensors
    ]
    buffers = [Table(schema.BUFFER, {"data": Data(np.frombuffer(some, np.uint8))}) for some in data]
    graph = Table(schema.SUBGRAPH, {"tensors": tables, "name": "main"})
    root = Table(schema.MODEL, {"version": version, "subgraphs": [graph], "buffers": buffers})
    file = flatbuffer(root, schema.IDENTIFIER)
    assert file[4:8] == b"TFL3" and flatbuffer(root, schema.IDENTIFIER) == file
    model = read(file)
    assert model.version == version
    found = model.subgraphs[0].tensors
    assert [(t.name.decode(), list(t.shape), bool(t.hasRank), t.type) for t in found] == [
        (name, shape, ranked, 2) for name, shape, ranked in tensors
    ]
    assert [bytes(np.asarray(buffer.data, np.uint8)) for buffer in model.buffers] == data


@pytest.mark.parametrize("size", range(1, 40, 3))
def test_data_lie_at_multiples_of_16(size: int) -> None:
    data = [Table(schema.BUFFER, {"data": Data(np.full(n, 7 + n, np.uint8))}) for n in (size, 50)]
    file = flatbuffer(Table(schema.MODEL, {"description": "x" * size, "buffers": data}), b"TEST")
    for count in (size, 50):
        assert (file.index(struct.pack("<I", count) + bytes([7 + count]) * count) + 4) % 16 == 0


def test_tables_with_the_same_fields_share_a_vtable() -> None:
    def written(count: int) -> int:
        tensors = [Table(schema.TENSOR, {"buffer": 1, "type": 2}) for _ in range(count)]
        return len(flatbuffer(Table(schema.SUBGRAPH, {"tensors": tensors}), b"TEST"))

    assert written(12) - written(11) == 4 + 12  # a pointer; then the vtable's place, a number, a byte, and alignment


def test_a_number_where_something_is_pointed_to() -> None:
    with pytest.raises(TypeError, match="3 is a number"):
        flatbuffer(Table(Kind({"name": (0, "")}), {"name": 3}), b"TEST")
