"""What images to load, and how they are stored."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from supernet.errors import DataError

Source: TypeAlias = Literal["digits", "folder", "tar", "cifar10", "numpy"]


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
        DataError: an unknown source, a path missing or given in vain, or a number that is not positive.
    """

    source: Source
    path: Path | None = None
    size: int | None = None
    limit: int | None = None

    def __post_init__(self) -> None:
        """Check what can be checked without reading."""
        if self.source not in get_args(Source):
            raise DataError(f"data source is {self.source!r}; allowed: {', '.join(get_args(Source))}")
        if self.source == "digits" and self.path is not None:
            raise DataError(f"data source 'digits' is built in and takes no path; {str(self.path)!r} was given")
        if self.source != "digits" and self.path is None:
            raise DataError(f"data source {self.source!r} needs a path; give data.path, the place of the images")
        for name, value in (("size", self.size), ("limit", self.limit)):
            if value is not None and value < 1:
                raise DataError(f"data.{name} is {value}; give a positive number, or leave it out")
