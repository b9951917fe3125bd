"""Encoded images to arrays of one size."""

from __future__ import annotations

import io
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from supernet.errors import DataError

Progress: TypeAlias = Callable[[int, int], None]
Encoded: TypeAlias = bytes | Path
IMAGE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".webp")
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP")
_CHUNK = 256
_NAMED_FAILURES = 5


def decode(encoded: bytes, size: int | None) -> NDArray[np.uint8]:
    """One image, turned upright as its EXIF data say, as RGB.

    Args:
        encoded: content of a JPEG, PNG, WebP or BMP file.
        size: height and width of the result: the centre square, scaled. None keeps the image as it is.

    Returns:
        Shape ``(H, W, 3)``.

    Raises:
        Exception: whatever Pillow raises on content it cannot read.
    """
    image: Image.Image = Image.open(io.BytesIO(encoded), formats=_FORMATS)
    if size is not None:
        # Lets libjpeg skip detail far beyond the stored size; twice the size is kept for the filter to work on.
        image.draft(None, (2 * size, 2 * size))
    if "exif" in image.info:
        image = ImageOps.exif_transpose(image)
    return _fit(_rgb(image), size)


def fit_images(images: NDArray[np.uint8], size: int | None) -> NDArray[np.uint8]:
    """Images of shape ``(N, H, W, 3)`` stored at another size, exactly as ``decode`` does it."""
    if size is None or images.shape[1:3] == (size, size):
        return images
    return np.stack([_fit(Image.fromarray(image), size) for image in images])


def decode_all(
    encoded: Iterable[tuple[int, Encoded]], names: Sequence[str], size: int | None, progress: Progress | None = None
) -> NDArray[np.uint8]:
    """Decode many images on all cores.

    Args:
        encoded: position in the result, and file content or place, of every image, in any order.
        names: what to call each image in an error, by position.
        size: see ``decode``.
        progress: called with images done and images in all.

    Returns:
        Shape ``(len(names), H, W, 3)``.

    Raises:
        DataError: images that cannot be read (all of them are tried, so the message has the full count), or images of
            several sizes where no size was given.
    """
    collector = _Collector(names, size)
    source = iter(encoded)
    pending: deque[Future[int]] = deque()
    done = 0
    with ThreadPoolExecutor(workers := os.cpu_count() or 1) as pool:
        more = True
        while more or pending:
            chunk = list(islice(source, _CHUNK))
            more = len(chunk) > 0
            if more:
                pending.append(pool.submit(collector.add, chunk))
            # Bounded, so that a large archive is never read much faster than it is decoded.
            if pending and (not more or len(pending) > 2 * workers):
                done += pending.popleft().result()
                if progress is not None:
                    progress(done, len(names))
    return collector.result()


class _Collector:
    """Puts decoded images in their places and keeps a list of those that failed; safe to use from several threads."""

    def __init__(self, names: Sequence[str], size: int | None) -> None:
        self._names = names
        self._size = size
        self._lock = threading.Lock()
        self._images: NDArray[np.uint8] | None = None if size is None else self._allocate((size, size))
        self._failures: list[tuple[int, str]] = []
        self._odd_sizes: list[tuple[int, tuple[int, int]]] = []

    def add(self, chunk: Sequence[tuple[int, Encoded]]) -> int:
        for position, source in chunk:
            try:
                image = decode(_content(source), self._size)
            except MemoryError:
                raise
            except UnidentifiedImageError:
                self._failures.append((position, "it holds no image"))
                continue
            except Exception as error:
                self._failures.append((position, f"{type(error).__name__}: {error}"))
                continue
            self._store(position, image)
        return len(chunk)

    def _store(self, position: int, image: NDArray[np.uint8]) -> None:
        with self._lock:
            if self._images is None:
                self._images = self._allocate((image.shape[0], image.shape[1]))
        if image.shape != self._images.shape[1:]:
            self._odd_sizes.append((position, (image.shape[0], image.shape[1])))
            return
        self._images[position] = image

    def _allocate(self, size: tuple[int, int]) -> NDArray[np.uint8]:
        return np.empty((len(self._names), *size, 3), np.uint8)

    def result(self) -> NDArray[np.uint8]:
        if self._failures:
            raise DataError(self._describe_failures())
        assert self._images is not None  # noqa: S101 (no image failed, and a listing without images is refused)
        height, width = self._images.shape[1:3]
        if self._odd_sizes:
            position, (other_height, other_width) = min(self._odd_sizes)
            raise DataError(
                f"images differ in size: {width}x{height} px, but {self._names[position]!r} is "
                f"{other_width}x{other_height}; set data.size to store all of them at one size"
            )
        return self._images

    def _describe_failures(self) -> str:
        shown = [f"{self._names[p]!r} ({reason})" for p, reason in sorted(self._failures)[:_NAMED_FAILURES]]
        more = len(self._failures) - len(shown)
        rest = f" and {more} more" if more else ""
        return (
            f"{len(self._failures)} of {len(self._names)} images cannot be read: {', '.join(shown)}{rest}; "
            "replace or remove them"
        )


def _content(source: Encoded) -> bytes:
    if isinstance(source, bytes):
        return source
    if source.exists() and not source.is_file():
        raise OSError("it is a pipe or a device, no file")  # reading one may never end
    return source.read_bytes()


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        # Pillow's own conversion clips 16 bits at 255, which turns almost everything white.
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _fit(image: Image.Image, size: int | None) -> NDArray[np.uint8]:
    if size is not None and image.size != (size, size):
        image = ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR)
    image.load()
    return np.asarray(image)
