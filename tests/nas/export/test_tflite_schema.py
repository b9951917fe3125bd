"""What is written down here of TFLite's schema equals what LiteRT ships."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from enum import IntEnum
from pathlib import Path
from types import ModuleType

import pytest

from nas.export import tflite_schema as schema
from nas.export.flatbuffer import Kind

TABLES = {
    "Model": schema.MODEL,
    "OperatorCode": schema.OPERATOR_CODE,
    "SubGraph": schema.SUBGRAPH,
    "Tensor": schema.TENSOR,
    "Operator": schema.OPERATOR,
    "Buffer": schema.BUFFER,
    "SignatureDef": schema.SIGNATURE,
    "TensorMap": schema.TENSOR_MAP,
    **{name: table for name, (_, table) in schema.OPTIONS.items()},
}
LETTERS = {"UOffsetTRelative": "", "Int8": "b", "Uint8": "B", "Bool": "?", "Int32": "i", "Uint32": "I", "Float32": "f"}


@pytest.fixture(scope="module")
def generated() -> ModuleType:
    return importlib.import_module("ai_edge_litert.schema_py_generated")


@pytest.fixture(scope="module")
def slots(generated: ModuleType) -> Mapping[tuple[str, str], tuple[int, str]]:
    """Slot and letter by (table, field), read off the generated functions that add a field."""
    text = Path(str(generated.__file__)).read_text(encoding="utf-8")
    added = re.findall(
        r"^def ([A-Z]\w*?)Add\w+\(builder, (\w+)\):\n\s+builder\.Prepend(\w+?)Slot\((\d+),", text, re.MULTILINE
    )
    return {(table, field): (int(slot), LETTERS.get(kind, kind)) for table, field, kind, slot in added}


@pytest.mark.parametrize("name", TABLES)
def test_slots(name: str, slots: Mapping[tuple[str, str], tuple[int, str]]) -> None:
    table: Kind = TABLES[name]
    assert dict(table.fields) == {field: slots[name, field] for field in table.fields}


def test_codes(generated: ModuleType) -> None:
    assert {name: getattr(generated.BuiltinOperator, name) for name in schema.OPERATORS} == schema.OPERATORS
    codes = {name: code for name, (code, _) in schema.OPTIONS.items()}
    assert codes == {name: getattr(generated.BuiltinOptions, name) for name in codes}
    types = {"<f4": generated.TensorType.FLOAT32, "<i4": generated.TensorType.INT32}
    assert types == schema.TENSOR_TYPES


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (schema.FusedActivation, "ActivationFunctionType"),
        (schema.Padding, "Padding"),
        (schema.MirrorPadMode, "MirrorPadMode"),
    ],
)
def test_enumerations(generated: ModuleType, kind: type[IntEnum], name: str) -> None:
    assert {member.name: member.value for member in kind} == {
        member.name: getattr(getattr(generated, name), member.name) for member in kind
    }
