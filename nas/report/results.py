"""Reads the files that stages leave for later ones, checked as far as the report's readers rely on it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from nas.errors import NasError
from nas.files import read_json, reading
from nas.run_directory import RunDirectory

Row: TypeAlias = Mapping[str, Any]

_PARTS: Mapping[str, Mapping[str, type]] = {
    "train": {"weights_sha256": str},
    "profile": {"targets": dict, "rows": list},
    "fit": {"targets": dict},
    "search": {"members": list},
    "confirm": {"targets": dict, "members": list, "dominated": list, "dropped": list},
}
"""What the result of each stage holds."""


def read_result(run: RunDirectory, stage: str) -> Row | None:
    """The result file of a stage, none if the stage has not finished.

    Raises:
        NasError: the file lacks one of its parts, or has another kind of value in its place.
    """
    path = run.result(stage)
    if not path.is_file():
        return None
    result: Row = read_json(path)
    with reading(path):
        for name, kind in _PARTS[stage].items():
            if not isinstance(result[name], kind):
                raise TypeError(f"{name} is {result[name]!r}")
    return result


def json_lines(path: Path) -> Iterator[Row]:
    """Rows of a file of JSON lines; a last line that a killed run left half written is passed over.

    Raises:
        NasError: another line is no JSON.
    """
    lines = path.read_bytes().splitlines() if path.is_file() else []
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            if number < len(lines):
                raise NasError(f"{path}, line {number}, is not valid JSON ({error}); run its stage again") from error
            return
        yield row


def as_text(value: object) -> str:
    """The value, which has to be a text.

    Raises:
        TypeError: it is none.
    """
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value
