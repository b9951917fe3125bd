"""A fixed division of the images, recorded by index."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from supernet.data.images import evenly
from supernet.errors import DataError
from supernet.files import write_atomic

_VERSION = 1


@dataclass(frozen=True, eq=False)
class Split:
    """Positions of images, each ascending.

    Attributes:
        train: what weights are learned from.
        validation: what candidates are compared on; never trained on.
        test: what the final figures are computed on; never trained on, never compared on.
        calibration: part of ``train``, for INT8 scales and batch-norm statistics.

    Raises:
        DataError: an image in two parts, or calibration images that are not training images.
    """

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]
    calibration: NDArray[np.int64]

    def __post_init__(self) -> None:
        """Check that no image can be both learned from and judged on."""
        together = np.concatenate([self.train, self.validation, self.test])
        if len(np.unique(together)) != len(together):
            raise DataError("split: an image is in two of train, validation and test; divide the images anew")
        if not np.isin(self.calibration, self.train).all():
            raise DataError("split: calibration images must be training images; divide the images anew")


def make_split(
    labels: NDArray[np.int64],
    *,
    validation: float,
    test: float = 0.0,
    calibration: int = 0,
    seed: int = 0,
    class_names: Sequence[str] | None = None,
) -> Split:
    """Divide images at random, every class in the same proportions.

    Args:
        labels: shape ``(N,)``.
        validation: share of every class, 0 to 1, at least one image of each where it is not 0.
        test: the same for the test images.
        calibration: number of training images, spread evenly over the classes.
        seed: of the division.
        class_names: what classes are called in errors; their numbers if left out.

    Raises:
        DataError: shares that leave no training images in a class, or more calibration images than training images.
    """
    if not (validation >= 0 and test >= 0 and validation + test < 1):
        given = f"validation {validation} and test {test}"
        raise DataError(f"split: {given} were given; allowed: shares from 0 up, together below 1")
    rng = np.random.default_rng(seed)
    parts: dict[str, list[NDArray[np.int64]]] = {"train": [], "validation": [], "test": []}
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        held = {name: _share(share, len(members)) for name, share in (("validation", validation), ("test", test))}
        if sum(held.values()) >= len(members):
            name = repr(class_names[label]) if class_names is not None else label
            have = "1 image" if len(members) == 1 else f"{len(members)} images"
            takers = " and ".join(part for part, count in held.items() if count)
            raise DataError(
                f"class {name} has {have}; {takers} would leave none to train on: add images or hold out less"
            )
        cuts = np.cumsum(list(held.values()))
        for name, part in zip(("validation", "test", "train"), np.split(members, cuts), strict=True):
            parts[name].append(part)
    train, held_validation, held_test = (np.concatenate(parts[name]) for name in ("train", "validation", "test"))
    if not 0 <= calibration <= len(train):
        raise DataError(f"split.calibration is {calibration}; allowed: 0 to {len(train)}, the training images")
    # ``train`` is still shuffled within its classes, so the first of each class are a random choice.
    chosen = train[evenly(labels[train], calibration)]
    return Split(np.sort(train), np.sort(held_validation), np.sort(held_test), np.sort(chosen))


def save_split(split: Split, path: Path, data_digest: str) -> None:
    """Write a split as JSON, atomically.

    Args:
        split: what to write.
        path: file to write.
        data_digest: ``ImageData.digest`` of the images that the indices belong to.
    """
    parts = {field.name: getattr(split, field.name).tolist() for field in fields(split)}
    write_atomic(path, json.dumps({"version": _VERSION, "data_digest": data_digest, **parts}).encode())


def load_split(path: Path, data_digest: str) -> Split:
    """Read a split and check that it belongs to these images.

    Raises:
        DataError: no such file, content that is no split, or images other than those that were divided.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values["version"] != _VERSION:
            raise ValueError(f"version {values['version']}, known: {_VERSION}")
        split = Split(**{field.name: _indices(values[field.name]) for field in fields(Split)})
        written_for = values["data_digest"]
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise DataError(f"{str(path)!r} cannot be read as a split ({reason}); restore it or start anew") from error
    if written_for != data_digest:
        raise DataError(
            f"{str(path)!r} was made for images of digest {written_for}; those loaded have {data_digest}: the data or "
            "their settings changed. Restore them, or start a new run"
        )
    return split


def _share(share: float, count: int) -> int:
    return max(1, round(share * count)) if share > 0 else 0


def _indices(values: Any) -> NDArray[np.int64]:  # noqa: ANN401 (comes from JSON)
    return np.array([int(value) for value in values], np.int64)
