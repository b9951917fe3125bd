from __future__ import annotations

import zipfile
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


def header(shape: str) -> bytes:
    """A .npy file of bytes that ends where its content should begin."""
    text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}}}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


@pytest.mark.parametrize("name", ["images.npy", "data.npz"])
def test_a_header_that_asks_for_more_than_the_memory_is_told(tmp_path: Path, name: str) -> None:
    path, content = tmp_path / name, header("(1000000000, 1000, 1000, 3)")
    if path.suffix == ".npy":
        path.write_bytes(content)
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("images.npy", content)
    with pytest.raises(DataError, match=r"do not fit into memory \(.*\); give fewer or smaller images"):
        load_images(DataSettings("numpy", path))


def zipped(path: Path, change: tuple[int, bytes] | None = None) -> Path:
    """An archive whose one member is no array, with bytes changed in its two headers."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("images", b"no array")
    content = bytearray(path.read_bytes())
    if change is not None:
        offset, value = change
        for start in (content.index(b"PK\x03\x04") + offset, content.index(b"PK\x01\x02") + offset + 2):
            content[start : start + len(value)] = value
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (None, "'images' in it is no array"),
        ((6, b"\x01\x00"), "encrypted"),
        ((8, b"\x63\x00"), "compression method is not supported"),
    ],
)
def test_archives_that_hold_something_else_are_refused(
    tmp_path: Path, change: tuple[int, bytes] | None, reason: str
) -> None:
    with pytest.raises(DataError, match=f"cannot be read as NumPy arrays .*{reason}"):
        load_images(DataSettings("numpy", zipped(tmp_path / "data.npz", change)))


def test_names_given_as_bytes_are_texts(tmp_path: Path) -> None:
    names = np.array([b"cat", "h\u00f8ne".encode(), b"dog"])
    np.savez(tmp_path / "data.npz", images=IMAGES, labels=LABELS, class_names=names)
    assert load_images(DataSettings("numpy", tmp_path / "data.npz")).class_names == ("cat", "h\u00f8ne", "dog")


@pytest.mark.parametrize(
    "content",
    [b"", b"PK", b"hello", b"\x93NUMPY\x01\x00", header("(1" + "0" * 30 + ",)"), header("(1, "), header("((1, 2")],
    ids=len,
)
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
        ({"class_names": np.array([b"cat", b"h\xf8ne", b"dog"])}, "class_names holds .*, which is no UTF-8 text"),
    ],
)
def test_odd_labels_and_names_are_told(tmp_path: Path, odd: dict[str, np.ndarray], message: str) -> None:
    arrays = {"images": np.zeros((3, 4, 4), np.uint8), "labels": np.array([0, 1, 2]), **odd}
    np.savez(tmp_path / "data.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=message):
        load_images(DataSettings("numpy", tmp_path / "data.npz"))
