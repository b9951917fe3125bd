"""Files that are either whole or not there: every write goes to a temporary file beside it, then takes its place."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from nas.errors import NasError
from search_spaces import SpaceError


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A stream whose content becomes ``path`` when the block ends, and leaves ``path`` alone when it fails.

    The temporary file has a fixed name, so what a killed process left behind is overwritten by the next one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("wb") as stream:
        yield stream
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically."""
    with replacing(path) as stream:
        stream.write(content)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file atomically; parts of file names that are no text become question marks."""
    write_bytes(path, text.encode(errors="replace"))


def write_json(path: Path, value: Any) -> None:  # noqa: ANN401 (any JSON value)
    """Write a JSON file atomically; numbers that JSON does not have (NaN, infinity) are refused."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:  # noqa: ANN401 (any JSON value)
    """Read a JSON file.

    Raises:
        NasError: the file is missing or is no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NasError(f"{path} is missing; run the stage that makes it again (`nas status` lists them)") from None
    except (ValueError, RecursionError) as error:  # ValueError: no JSON, no UTF-8, or a number of thousands of digits
        raise NasError(f"{path} is not valid JSON ({error}); delete it and run its stage again") from error


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Surround what takes values out of a file, which may be valid JSON and yet not what its stage writes.

    Raises:
        NasError: the block did not find what it looked for; the message names the file.
    """
    try:
        yield
    except (AttributeError, LookupError, OverflowError, RecursionError, TypeError, ValueError) as error:
        raise NasError(_damaged(path, repr(error))) from error
    except (NasError, SpaceError) as error:
        if str(path) in str(error):
            raise
        raise NasError(_damaged(path, str(error))) from error


def _damaged(path: Path, why: str) -> str:
    return f"{path} does not hold what its stage writes ({why}); delete it and run its stage again"


def copy_file(source: Path, target: Path) -> None:
    """Copy a file atomically."""
    with source.open("rb") as stream, replacing(target) as out:
        shutil.copyfileobj(stream, out)
