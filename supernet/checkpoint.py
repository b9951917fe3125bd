"""Checkpoints of a training run: tensors as safetensors, the rest as JSON, each written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from supernet.errors import SupernetError
from supernet.files import write_atomic

_POINTER = "checkpoint.json"
WEIGHTS = "weights.safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """State of training after ``step`` steps; ``identity`` names the settings and data that led here."""

    step: int
    identity: Mapping[str, Any]
    tensors: Mapping[str, Tensor]


def save_checkpoint(directory: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint; the one before it is deleted only when this one is whole on the disk.

    Raises:
        SupernetError: the disk is full; the checkpoint before it is as it was.
    """
    content = save_tensors(dict(checkpoint.tensors))
    digest = hashlib.sha256(content).hexdigest()
    # Two names in turn: the pointer always names a file that is not being written.
    name = f"checkpoint-{checkpoint.step:09d}.safetensors"
    pointer = {"step": checkpoint.step, "identity": dict(checkpoint.identity), "file": name, "sha256": digest}
    with _room_for(directory, len(content), f"the checkpoint of step {checkpoint.step}"):
        write_atomic(directory / name, content)
        write_atomic(directory / _POINTER, json.dumps(pointer, indent=1).encode())
    _delete_others(directory, name)


def load_checkpoint(directory: Path) -> Checkpoint | None:
    """The last checkpoint, or None where training has not begun.

    Raises:
        SupernetError: it is damaged, or of an earlier version.
    """
    pointer_file = directory / _POINTER
    if not pointer_file.exists():
        return None
    try:
        pointer = json.loads(pointer_file.read_text())
        content = (directory / Path(str(pointer["file"])).name).read_bytes()
        if hashlib.sha256(content).hexdigest() != pointer["sha256"]:
            raise ValueError("its digest is not the recorded one")
        if "identity" not in pointer:
            raise SupernetError(
                f"the checkpoint in {directory} was made by an earlier version; finish it with that one, or train in "
                "a new directory. Weights that were trained to the end load as before"
            )
        return Checkpoint(int(pointer["step"]), dict(pointer["identity"]), load_tensors(content))
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        OverflowError,
        RecursionError,
        safetensors.SafetensorError,
    ) as error:
        raise SupernetError(
            f"the checkpoint in {directory} is damaged ({error}); restore the directory from a copy, or delete "
            f"{_POINTER} and checkpoint-*.safetensors there to train from the start"
        ) from error


def save_weights(directory: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write the trained weights.

    Raises:
        SupernetError: the disk is full; the last checkpoint is as it was.
    """
    content = save_tensors({name: t.detach().cpu().contiguous() for name, t in tensors.items()})
    with _room_for(directory, len(content), "the trained weights"):
        write_atomic(directory / WEIGHTS, content)


def load_weights(directory: Path) -> dict[str, Tensor]:
    """The trained weights by parameter name.

    Raises:
        SupernetError: missing or damaged.
    """
    path = directory / WEIGHTS
    try:
        return load_tensors(path.read_bytes())
    except FileNotFoundError:
        raise SupernetError(f"{path} is missing; train the supernet first (`nas train RUN_DIR`)") from None
    except safetensors.SafetensorError as error:
        raise SupernetError(f"{path} is damaged ({error}); delete it and run `nas train RUN_DIR` again") from error


def weights_digest(directory: Path) -> str:
    """SHA-256 of the trained weights' file, hexadecimal.

    Raises:
        SupernetError: missing.
    """
    path = directory / WEIGHTS
    if not path.exists():
        raise SupernetError(f"{path} is missing; train the supernet first (`nas train RUN_DIR`)")
    return hashlib.sha256(path.read_bytes()).hexdigest()


@contextlib.contextmanager
def _room_for(directory: Path, size: int, what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
            _delete_others(directory, str(json.loads((directory / _POINTER).read_text())["file"]))
        kept = "the last one is kept" if (directory / _POINTER).exists() else "there is no earlier one"
        raise SupernetError(
            f"the disk is full: {what} ({size / 1e6:.0f} MB) cannot be written to {directory} ({error}); checkpoints: "
            f"{kept}. Free some space and run the same command again; training goes on from there"
        ) from error


def _delete_others(directory: Path, name: str) -> None:
    for old in directory.glob("checkpoint-*.safetensors"):
        if old.name != name:
            old.unlink()
