"""FlatBuffers written front to back: a table first, then what it points to (format: flatbuffers.dev, "internals").

The library's own builder works back to front and field by field in Python, which takes most of the time that writing a
model takes. Here the layout of a table, that is its vtable and its bytes, is made once for every set of fields given.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

_POINTER = "I"
_ALIGNMENT = 4
# Readers map constants straight into kernels; TFLite's schema asks for this alignment.
_DATA_ALIGNMENT = 16


@dataclass(frozen=True, eq=False, slots=True)
class Kind:
    """A kind of table.

    Attributes:
        fields: slot of each field, and the letter that ``struct`` has for its number; "" for what is pointed to.
    """

    fields: Mapping[str, tuple[int, str]]


class Table(NamedTuple):
    """A table and its values; fields that are not given have the schema's default."""

    kind: Kind
    values: Mapping[str, Field]


class Data(NamedTuple):
    """The bytes of an array in row-major order, aligned to 16."""

    array: NDArray[Any]


class Integers(NamedTuple):
    """A vector of 32-bit integers."""

    values: Sequence[int]


Field: TypeAlias = float | str | Integers | Data | Table | Sequence[Table]
"""Booleans and integers are numbers, too."""


def flatbuffer(root: Table, identifier: bytes) -> bytes:
    """A whole file; equal tables give equal bytes.

    Args:
        root: the outermost table.
        identifier: four bytes that tell what kind of file it is.
    """
    writer = _Writer(identifier)
    writer.point(0, writer.table(root))
    return bytes(writer.file)


class _Layout(NamedTuple):
    """How a table is written if certain fields are given."""

    vtable: bytes
    body: struct.Struct
    pointers: tuple[tuple[str, int], ...]
    numbers: tuple[str, ...]


@cache
def _layout(kind: Kind, given: tuple[str, ...]) -> _Layout:
    """Pointers first, then numbers from wide to narrow, which aligns them all; offsets are from the table's start."""
    by_size = sorted(given, key=lambda name: -struct.calcsize(kind.fields[name][1] or _POINTER))
    pointers = [name for name in by_size if not kind.fields[name][1]]
    numbers = [name for name in by_size if kind.fields[name][1]]
    slots = [0] * (1 + max((kind.fields[name][0] for name in given), default=-1))
    letters, offsets = "<i", {}
    for name in (*pointers, *numbers):
        offsets[name] = slots[kind.fields[name][0]] = struct.calcsize(letters)
        letters += kind.fields[name][1] or _POINTER
    body = struct.Struct(letters)
    vtable = struct.pack(f"<{2 + len(slots)}H", 4 + 2 * len(slots), body.size, *slots)
    return _Layout(vtable, body, tuple((name, offsets[name]) for name in pointers), tuple(numbers))


class _Writer:
    def __init__(self, identifier: bytes) -> None:
        self.file = bytearray(4) + identifier
        self._vtables: dict[bytes, int] = {}

    def table(self, table: Table) -> int:
        """Write a table and all that it points to; returns where it begins."""
        layout, values, file = _layout(table.kind, tuple(table.values)), table.values, self.file
        start = self._aligned()
        vtable = self._vtables.get(layout.vtable)
        if vtable is None:
            vtable = self._vtables[layout.vtable] = start
            file += layout.vtable
            start = self._aligned()
        numbers = [values[name] for name in layout.numbers]
        file += layout.body.pack(start - vtable, *[0] * len(layout.pointers), *numbers)
        for name, offset in layout.pointers:
            self.point(start + offset, self._pointed_to(values[name]))
        return start

    def point(self, place: int, target: int) -> None:
        """Have the four bytes at ``place`` point to ``target``, which comes after them."""
        struct.pack_into("<I", self.file, place, target - place)

    def _pointed_to(self, value: Field) -> int:
        if isinstance(value, Table):
            return self.table(value)
        if isinstance(value, Data):
            return self._data(value.array)
        start = self._aligned()
        if isinstance(value, str):
            text = value.encode()
            self.file += struct.pack("<I", len(text)) + text + b"\0"
        elif isinstance(value, Integers):
            self.file += struct.pack(f"<I{len(value.values)}i", len(value.values), *value.values)
        elif isinstance(value, Sequence):
            self.file += struct.pack("<I", len(value)) + bytes(4 * len(value))
            for index, table in enumerate(value):
                self.point(start + 4 + 4 * index, self.table(table))
        else:
            raise TypeError(f"{value!r} is a number, and the field points to something")
        return start

    def _data(self, array: NDArray[Any]) -> int:
        self._aligned(_DATA_ALIGNMENT, after=4)
        start = len(self.file)
        self.file += struct.pack("<I", array.nbytes)
        self.file += np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
        return start

    def _aligned(self, alignment: int = _ALIGNMENT, *, after: int = 0) -> int:
        """Fill up until what comes ``after`` so many bytes is aligned; returns the file's length."""
        self.file += bytes(-(len(self.file) + after) % alignment)
        return len(self.file)
