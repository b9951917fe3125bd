"""Images that are arrays already: scikit-learn's digits, and NumPy files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from supernet.data.decoding import fit_images
from supernet.data.images import ImageData, check_classes, evenly
from supernet.errors import DataError

_ALLOWED = "give a .npz with 'images' and 'labels', or a folder with images.npy and labels.npy"


def load_digits(size: int | None, limit: int | None) -> ImageData:
    """scikit-learn's 1,797 handwritten digits, 8 px, as RGB."""
    from sklearn.datasets import load_digits as sklearn_digits  # noqa: PLC0415 (slow to import, rarely needed)

    digits = sklearn_digits()
    grey = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    return from_arrays(grey, digits.target, tuple(str(name) for name in digits.target_names), size, limit)


def load_numpy(path: Path, size: int | None, limit: int | None) -> ImageData:
    """Load ``images`` of shape ``(N, H, W)`` or ``(N, H, W, 1 or 3)``, uint8, and ``labels`` of shape ``(N,)``.

    Raises:
        DataError: an array is missing, holds Python objects, has another type or shape, or is larger than the memory;
            or class names that are no UTF-8 text.
    """
    try:
        arrays = _read(path)
    except MemoryError as error:
        raise DataError(
            f"the arrays of {str(path)!r} do not fit into memory ({error}); give fewer or smaller images, and where "
            "that is not their shape, write the file again"
        ) from error
    except Exception as error:  # the parsers of NumPy, zip files and compressions each have their own kinds
        reason = f"{type(error).__name__}: {error}"
        raise DataError(f"{str(path)!r} cannot be read as NumPy arrays ({reason}); {_ALLOWED}") from error
    missing = {"images", "labels"} - set(arrays)
    if missing:
        raise DataError(f"{str(path)!r} has arrays {sorted(arrays)}, not {sorted(missing)}; {_ALLOWED}")
    labels = arrays["labels"]
    if not np.issubdtype(labels.dtype, np.integer) or labels.ndim != 1 or len(labels) == 0:
        raise DataError(f"labels are {labels.dtype} of shape {labels.shape}; give whole numbers of shape (images,)")
    # Every class has images, so there are no more of them than images: names are not made up for a stray label.
    names = arrays.get("class_names", np.arange(min(int(labels.max()) + 1, len(labels))))
    if names.ndim != 1:
        raise DataError(f"class_names has shape {names.shape}; give one name for each class, of shape (classes,)")
    return from_arrays(arrays["images"], labels, tuple(map(_as_text, names.tolist())), size, limit)


def from_arrays(
    images: NDArray[np.generic],
    labels: NDArray[np.integer],
    class_names: tuple[str, ...],
    size: int | None = None,
    limit: int | None = None,
) -> ImageData:
    """Labelled images from arrays, grey ones made RGB.

    Args:
        images: uint8 of shape ``(N, H, W)``, ``(N, H, W, 1)`` or ``(N, H, W, 3)``.
        labels: shape ``(N,)``.
        class_names: one for every label from 0 up.
        size: see ``DataSettings.size``.
        limit: see ``DataSettings.limit``.

    Raises:
        DataError: another type or shape, or classes without images.
    """
    if images.ndim == 3:
        images = images[..., None]
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] not in (1, 3) or min(images.shape) < 1:
        given = f"{images.dtype} of shape {images.shape}"
        raise DataError(f"images are {given}; give uint8 (0 to 255) of shape (N, H, W), (N, H, W, 1) or (N, H, W, 3)")
    if labels.shape != images.shape[:1]:
        raise DataError(f"{len(images)} images have labels of shape {labels.shape}; give one label an image")
    targets = labels.astype(np.int64)
    check_classes(targets, class_names)
    chosen = evenly(targets, limit)
    kept = images if len(chosen) == len(images) else images[chosen]
    rgb = kept if kept.shape[-1] == 3 else np.repeat(kept, 3, axis=3)
    return ImageData(fit_images(np.ascontiguousarray(rgb, np.uint8), size), targets[chosen], class_names)


def _read(path: Path) -> dict[str, NDArray[Any]]:
    if path.is_dir():
        return {file.stem: np.load(file, allow_pickle=False) for file in path.glob("*.npy")}
    content = np.load(path, allow_pickle=False)
    if isinstance(content, np.ndarray):
        return {path.stem: content}
    with content:
        return {name: _array(content[name], name) for name in content.files}


def _array(content: Any, name: str) -> NDArray[Any]:  # noqa: ANN401 (NumPy gives the bytes of what is no array)
    if not isinstance(content, np.ndarray):
        raise TypeError(f"{name!r} in it is no array")
    return content


def _as_text(name: object) -> str:
    if not isinstance(name, bytes):
        return str(name)
    try:
        return name.decode()
    except UnicodeDecodeError as error:
        raise DataError(f"class_names holds {name!r}, which is no UTF-8 text ({error}); give texts") from error
