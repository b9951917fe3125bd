"""Loads images from any of the known sources."""

from __future__ import annotations

from pathlib import Path

from supernet.data.arrays import load_digits, load_numpy
from supernet.data.cifar10 import load_cifar10
from supernet.data.decoding import Progress
from supernet.data.images import ImageData
from supernet.data.listing import load_folder, load_tar
from supernet.data.settings import DataSettings
from supernet.errors import DataError


def load_images(settings: DataSettings, progress: Progress | None = None) -> ImageData:
    """Load images in an order that depends on their names alone, so that recorded indices hold.

    Args:
        settings: where the images are and how they are stored.
        progress: called with images done and images in all, where decoding takes time.

    Raises:
        DataError: a path that does not exist or does not hold what the source says, images that cannot be read, are
            not square or differ in size where no size is set, fewer than two classes, or a class without images.
    """
    if settings.path is None:
        data = load_digits(settings.size, settings.limit)
    else:
        data = _load_path(settings, settings.path, progress)
    height, width = data.size
    if height != width:
        raise DataError(f"images are {width}x{height} px, not square; set data.size to store the centre square of each")
    return data


def _load_path(settings: DataSettings, path: Path, progress: Progress | None) -> ImageData:
    if not path.exists():
        raise DataError(f"data.path {str(path)!r} does not exist; give the place of the {settings.source!r} data")
    if settings.source == "folder":
        return load_folder(path, settings.size, settings.limit, progress)
    if settings.source == "tar":
        return load_tar(path, settings.size, settings.limit, progress)
    if settings.source == "cifar10":
        return load_cifar10(path, settings.size, settings.limit)
    return load_numpy(path, settings.size, settings.limit)
