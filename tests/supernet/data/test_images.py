from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from supernet.data import ImageData
from supernet.data.images import evenly
from supernet.errors import DataError

PIXELS = np.zeros((4, 2, 2, 3), np.uint8)
LABELS = np.array([0, 1, 1, 0])


def test_digest_depends_on_pixels_labels_and_names() -> None:
    data = ImageData(PIXELS, LABELS, ("a", "b"))
    others = [
        ImageData(PIXELS + np.uint8(1), LABELS, ("a", "b")),
        ImageData(PIXELS, 1 - LABELS, ("a", "b")),
        ImageData(PIXELS, LABELS, ("a", "c")),
        ImageData(PIXELS.reshape(4, 1, 4, 3), LABELS, ("a", "b")),
    ]
    assert data.digest == ImageData(PIXELS.copy(), LABELS.copy(), ("a", "b")).digest
    assert len({data.digest, *(other.digest for other in others)}) == 5


@pytest.mark.parametrize(
    ("images", "labels", "names", "message"),
    [
        (PIXELS.astype(np.float32), LABELS, ("a", "b"), "float32"),
        (PIXELS[..., :1], LABELS, ("a", "b"), "(4, 2, 2, 1)"),
        (PIXELS, LABELS[:3], ("a", "b"), "(3,)"),
        (PIXELS, LABELS.astype(np.int32), ("a", "b"), "int32"),
        (PIXELS, LABELS * 0, ("a",), "at least 2 classes"),
        (PIXELS, LABELS, ("a", "b", "c"), "no images in class 'c'"),
        (PIXELS, LABELS + 1, ("a", "b"), "allowed: 0 to 1"),
        (PIXELS, LABELS, ("a", "a"), "a name of its own"),
    ],
)
def test_parts_that_do_not_belong_together_are_refused(images: Any, labels: Any, names: Any, message: str) -> None:
    with pytest.raises(DataError) as error:
        ImageData(images, labels, names)
    assert message in str(error.value)


@given(st.lists(st.integers(0, 4), max_size=40), st.integers(0, 50))
def test_evenly_takes_the_first_of_each_class_in_equal_parts(labels: list[int], count: int) -> None:
    array = np.array(labels, np.int64)
    chosen = evenly(array, count)
    assert len(chosen) == min(count, len(labels))
    assert (np.diff(chosen) > 0).all()
    taken = np.bincount(array[chosen], minlength=5)
    for label, there in enumerate(np.bincount(array, minlength=5).tolist()):
        members = np.flatnonzero(array == label)
        assert np.isin(members[: taken[label]], chosen).all()
        # A class is short only where it has no more images, or by the one that did not come out even.
        assert taken[label] == there or taken[label] >= taken.max() - 1


def test_evenly_without_a_limit_takes_all() -> None:
    assert evenly(LABELS, None).tolist() == [0, 1, 2, 3]
