"""Images and labels in memory, as they are stored before any network sees them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from supernet.errors import DataError


@dataclass(frozen=True, eq=False)
class ImageData:
    """Labelled RGB images of one size.

    Attributes:
        images: shape ``(N, H, W, 3)``, one byte a value (0 to 255).
        labels: class indices, shape ``(N,)``.
        class_names: name of every class, in the order of the labels.
        left_out: a sentence about each kind of file that lay beside them and was not read; they are no part of the
            digest.

    Raises:
        DataError: other shapes or types, fewer than two classes, a class without images or a label without a class.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    left_out: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check that the three parts belong together."""
        shape = self.images.shape
        if self.images.dtype != np.uint8 or len(shape) != 4 or shape[-1] != 3:
            given = f"{self.images.dtype} of shape {shape}"
            raise DataError(f"images are {given}; give uint8 of shape (images, height, width, 3)")
        if self.labels.dtype != np.int64 or self.labels.shape != shape[:1]:
            given = f"{self.labels.dtype} of shape {self.labels.shape}"
            raise DataError(f"labels are {given}; give int64 of shape {shape[:1]}, one label an image")
        check_classes(self.labels, self.class_names)

    def __len__(self) -> int:
        """Number of images."""
        return len(self.images)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the images, px."""
        return self.images.shape[1], self.images.shape[2]

    @cached_property
    def digest(self) -> str:
        """Digest of images, labels and names: 20 hexadecimal digits, the same in every process."""
        digest = hashlib.sha256(repr((self.images.shape, self.class_names)).encode())
        digest.update(np.ascontiguousarray(self.labels, "<i8").data)
        digest.update(np.ascontiguousarray(self.images).data)
        return digest.hexdigest()[:20]


def check_classes(labels: NDArray[np.int64], class_names: tuple[str, ...]) -> None:
    """Check that there are at least two classes and that every one has images.

    Raises:
        DataError: a class is missing, empty, named twice, or not named at all.
    """
    if len(class_names) < 2:
        raise DataError(f"classes found: {list(class_names)}; a classifier needs images of at least 2 classes")
    if len(set(class_names)) != len(class_names):
        raise DataError(f"class names are {list(class_names)}; each class needs a name of its own")
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < len(class_names):
        given = f"labels run from {labels.min()} to {labels.max()}"
        raise DataError(
            f"{given}; allowed: 0 to {len(class_names) - 1}, one for each of {len(class_names)} class names"
        )
    counts = np.bincount(labels, minlength=len(class_names))
    empty = [name for name, count in zip(class_names, counts.tolist(), strict=True) if count == 0]
    if empty:
        raise DataError(f"no images in class {', '.join(map(repr, empty))}; add images or remove the class")


def evenly(labels: NDArray[np.int64], count: int | None) -> NDArray[np.int64]:
    """Positions of the first ``count`` items taken in turn from every class, in ascending order.

    Args:
        labels: class indices, shape ``(N,)``.
        count: how many positions; None or more than there are: all of them.
    """
    if count is None or count >= len(labels):
        return np.arange(len(labels), dtype=np.int64)
    by_class = np.argsort(labels, kind="stable")
    starts = np.searchsorted(labels[by_class], labels[by_class])
    rank = np.empty(len(labels), np.int64)
    rank[by_class] = np.arange(len(labels)) - starts
    return np.sort(np.lexsort((labels, rank))[:count])
