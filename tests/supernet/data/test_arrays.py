from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from supernet.data import DataSettings, from_arrays, load_images
from supernet.errors import DataError

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (6, 5, 5, 3), dtype=np.uint8)
LABELS = np.array([0, 1, 2, 0, 1, 2], np.uint8)


def test_digits_at_their_own_size_and_scaled() -> None:
    data = load_images(DataSettings("digits"))
    assert data.images.shape == (1797, 8, 8, 3)
    assert data.class_names == tuple("0123456789")
    assert (data.images.min(), data.images.max()) == (0, 255)
    scaled = load_images(DataSettings("digits", size=16, limit=50))
    assert scaled.images.shape == (50, 16, 16, 3)
    assert np.bincount(scaled.labels).tolist() == [5] * 10


def test_npz_and_folder_of_npy(tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", images=IMAGES, labels=LABELS, class_names=np.array(["x", "y", "z"]))
    data = load_images(DataSettings("numpy", tmp_path / "data.npz"))
    assert (data.images == IMAGES).all()
    assert data.class_names == ("x", "y", "z")
    np.save(tmp_path / "images.npy", IMAGES)
    np.save(tmp_path / "labels.npy", LABELS)
    assert load_images(DataSettings("numpy", tmp_path)).class_names == ("0", "1", "2")


@pytest.mark.parametrize("shape", [(6, 5, 5), (6, 5, 5, 1)])
def test_grey_becomes_rgb(shape: tuple[int, ...]) -> None:
    grey = IMAGES[..., 0].reshape(shape)
    data = from_arrays(grey, LABELS, ("a", "b", "c"))
    assert (data.images == IMAGES[..., :1]).all()


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": IMAGES, "labels": LABELS}, "not ['images']"),
        ({"images": IMAGES / 255, "labels": LABELS}, "float64"),
        ({"images": IMAGES.transpose(0, 3, 1, 2), "labels": LABELS}, "(6, 3, 5, 5)"),
        ({"images": IMAGES, "labels": LABELS[:5]}, "6 images have labels of shape (5,)"),
        ({"images": IMAGES, "labels": LABELS / 2}, "whole numbers"),
        ({"images": IMAGES, "labels": LABELS * 2}, "no images in class '1', '3'"),
        ({"images": IMAGES, "labels": LABELS.astype(np.int64) - 1}, "labels run from -1"),
        ({"images": IMAGES[:0], "labels": LABELS[:0]}, "labels are uint8 of shape (0,)"),
        ({"images": np.array([{}], object), "labels": LABELS}, "cannot be read"),
    ],
)
def test_arrays_of_another_kind_are_refused(tmp_path: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    np.savez(tmp_path / "data.npz", **arrays)
    with pytest.raises(DataError) as error:
        load_images(DataSettings("numpy", tmp_path / "data.npz"))
    assert message in str(error.value)


@pytest.mark.parametrize("content", [b"", b"PK", b"hello", b"\x93NUMPY\x01\x00"])
def test_files_that_are_no_arrays_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "data.npz").write_bytes(content)
    with pytest.raises(DataError, match="cannot be read as NumPy arrays"):
        load_images(DataSettings("numpy", tmp_path / "data.npz"))


def test_a_single_array_is_not_enough(tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", IMAGES)
    for path in (tmp_path, tmp_path / "images.npy"):
        with pytest.raises(DataError, match="labels"):
            load_images(DataSettings("numpy", path))


@pytest.mark.parametrize(
    ("odd", "message"),
    [
        ({"labels": np.array([0, 1, 2**62])}, "labels run from 0 to 4611686018427387904"),
        ({"class_names": np.array(5)}, r"class_names has shape \(\)"),
    ],
)
def test_odd_labels_and_names_are_told(tmp_path: Path, odd: dict[str, np.ndarray], message: str) -> None:
    arrays = {"images": np.zeros((3, 4, 4), np.uint8), "labels": np.array([0, 1, 2]), **odd}
    np.savez(tmp_path / "data.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=message):
        load_images(DataSettings("numpy", tmp_path / "data.npz"))
