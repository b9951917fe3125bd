"""The standard CIFAR-10 files (Krizhevsky 2009): binary or Python version, as a folder or as the archive."""

from __future__ import annotations

import pickletools
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from supernet.data.archive import contents, list_members, open_tar
from supernet.data.arrays import from_arrays
from supernet.data.images import ImageData
from supernet.errors import DataError

CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_PIXEL_BYTES = 3 * 32 * 32
_ROW_BYTES = 1 + _PIXEL_BYTES
_BATCH = re.compile(r"data_batch_\d+(\.bin)?")
_INTEGERS = {"BININT", "BININT1", "BININT2"}
_ALLOWED = "give the folder or archive with data_batch_1 to data_batch_5 (or data_batch_1.bin to data_batch_5.bin)"


def load_cifar10(path: Path, size: int | None, limit: int | None) -> ImageData:
    """Load the training batches in the order of their numbers; ``test_batch`` is left alone.

    Raises:
        DataError: no batches, or a damaged one.
    """
    batches = dict(_from_folder(path) if path.is_dir() else _from_tar(path))
    # Where somebody keeps both versions side by side, they hold the same images.
    binary = {name: content for name, content in batches.items() if name.endswith(".bin")}
    batches = binary or batches
    if not batches:
        raise DataError(f"no CIFAR-10 batches in {str(path)!r}; {_ALLOWED}, or set data.source to 'folder' or 'tar'")
    read = _read_binary if binary else _read_python
    parts = [read(name, content) for name, content in sorted(batches.items())]
    planes = np.concatenate([part[0] for part in parts]).reshape(-1, 3, 32, 32)
    labels = np.concatenate([part[1] for part in parts])
    return from_arrays(planes.transpose(0, 2, 3, 1), labels, CLASS_NAMES, size, limit)


def _from_folder(path: Path) -> Iterator[tuple[str, bytes]]:
    for file in path.rglob("data_batch_*"):
        if _BATCH.fullmatch(file.name):
            yield file.name, file.read_bytes()


def _from_tar(path: Path) -> Iterator[tuple[str, bytes]]:
    with open_tar(path) as archive:
        members = list_members(archive, path)
        members.check_links(path, lambda parts: _BATCH.fullmatch(parts[-1]) is not None)
        batches = [parts for parts in members.files if _BATCH.fullmatch(parts[-1])]
        for index, content in contents(archive, [members.files[parts] for parts in batches]):
            yield batches[index][-1], content


def _read_binary(name: str, content: bytes) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    if not content or len(content) % _ROW_BYTES:
        raise DataError(f"{name!r} has {len(content)} bytes; allowed: multiples of {_ROW_BYTES}; fetch it again")
    rows = np.frombuffer(content, np.uint8).reshape(-1, _ROW_BYTES)
    return rows[:, 1:], rows[:, 0].astype(np.int64)


def _read_python(name: str, content: bytes) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Read a batch of the Python version without unpickling it.

    The file is a pickle, which could run any code. Its instructions are only listed here: the whole numbers after the
    text "labels" are the labels, and the one text as long as that many images is the pixels.
    """
    labels: list[int] = []
    pixels = b""
    last_text = ""
    try:
        for opcode, argument, _ in pickletools.genops(content):
            if isinstance(argument, str) and len(argument) >= _PIXEL_BYTES:
                pixels = argument.encode("latin-1")
            elif isinstance(argument, str):
                last_text = argument
            elif last_text == "labels" and opcode.name in _INTEGERS and isinstance(argument, int):
                labels.append(argument)
    except ValueError as error:
        raise DataError(f"{name!r} cannot be read as CIFAR-10's Python version ({error}); fetch it again") from error
    if not labels or len(pixels) != len(labels) * _PIXEL_BYTES:
        raise DataError(f"{name!r} has {len(labels)} labels and {len(pixels)} bytes of pixels; fetch it again")
    return np.frombuffer(pixels, np.uint8).reshape(-1, _PIXEL_BYTES), np.array(labels, np.int64)
