"""What can be said about training data before a first step is taken."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from search_spaces import SearchSpace
from supernet.data import ImageData, Split
from supernet.errors import DataError, SupernetError

_CHUNK = 4096


def check_data(space: SearchSpace, images: ImageData, split: Split) -> None:
    """Check that there is something to learn, and that the space's networks can learn it.

    Raises:
        SupernetError: networks that tell another number of classes apart than the images have.
        DataError: a class that no training, validation or (where there are any) test image shows, no training images
            that differ from each other, or no images at all in a part that is needed.
    """
    classes = len(images.class_names)
    outputs = space.lower(space.smallest()).output.shape[-1]
    if outputs != classes:
        raise SupernetError(
            f"the images have {classes} classes and the networks of {space.name!r} {outputs} outputs; "
            f"make the space with classes={classes}"
        )
    parts = {"train": split.train, "validation": split.validation, "test": split.test}
    for part, indices in parts.items():
        if len(indices) == 0 and part == "test":
            continue
        counts = np.bincount(images.labels[indices], minlength=classes)
        missing = [name for name, count in zip(images.class_names, counts.tolist(), strict=True) if count == 0]
        if missing:
            raise DataError(
                f"split: no {part} image shows class {', '.join(map(repr, missing))}; divide the images so that every "
                "class is in every part, or leave the class out of the data"
            )
    _check_contents(images.images, split.train)


def _check_contents(images: NDArray[np.uint8], indices: NDArray[np.int64]) -> None:
    """Images that are all one colour teach nothing: usually a decoder or a mask has failed."""
    first = images[indices[0]]
    for start in range(0, len(indices), _CHUNK):
        if (images[indices[start : start + _CHUNK]] != first).any():
            return
    look = f"of the one colour {tuple(first[0, 0].tolist())}" if (first == first[0, 0]).all() else "the same"
    raise DataError(
        f"all {len(indices)} training images are {look}: there is nothing to tell classes apart by; open some of the "
        "files at data.path and check how they were written"
    )
