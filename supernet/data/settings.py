"""What images to load, and how they are stored."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from supernet.errors import DataError

Source: TypeAlias = Literal["digits", "folder", "tar", "cifar10", "numpy"]
LARGEST_SIZE = 4096
"""Stored images larger than this, px, were not meant: one takes 50 MB."""
MOST_IMAGES = 1_000_000_000


@dataclass(frozen=True)
class DataSettings:
    """Where images come from.

    Attributes:
        source: ``digits`` (scikit-learn's, built in), ``folder`` (``<class>/<image>``, ``train/`` above is allowed),
            ``tar`` (such a folder as an archive, compressed or not), ``cifar10`` (the standard files, as a folder or
            an archive), ``numpy`` (``.npz`` with ``images``, ``labels`` and perhaps ``class_names``, or a folder with
            ``images.npy`` and ``labels.npy``).
        path: file or folder; none for ``digits``.
        size: height and width that images are stored at, px: the centre square, scaled. None keeps them as they are;
            they must then be square and of one size.
        limit: load at most this many images, the first of every class in equal parts. None loads all.

    Raises:
        DataError: an unknown source, a path missing or given in vain, or a number out of range.
    """

    source: Source
    path: Path | None = None
    size: int | None = None
    limit: int | None = None

    def __post_init__(self) -> None:
        """Check what can be checked without reading; ``~`` becomes the home folder."""
        if self.path is not None:
            path = Path(os.path.expanduser(self.path))  # noqa: PTH111 (Path's fails where nobody has that name)
            object.__setattr__(self, "path", path)
        if self.source not in get_args(Source):
            raise DataError(f"data source is {self.source!r}; allowed: {', '.join(get_args(Source))}")
        if self.source == "digits" and self.path is not None:
            raise DataError(f"data source 'digits' is built in and takes no path; {str(self.path)!r} was given")
        if self.source != "digits" and self.path is None:
            raise DataError(f"data source {self.source!r} needs a path; give data.path, the place of the images")
        for name, value, most in (("size", self.size, LARGEST_SIZE), ("limit", self.limit, MOST_IMAGES)):
            if value is not None and not 1 <= value <= most:
                raise DataError(f"data.{name} is {value}; give a number from 1 to {most}, or leave it out")
