from __future__ import annotations

import io
import struct
import tarfile
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from supernet.data import DataSettings, load_images
from supernet.errors import DataError

PLANES = np.random.default_rng(0).integers(0, 256, (40, 3072), dtype=np.uint8)
LABELS = np.arange(40) % 10


def binary(planes: NDArray[np.uint8], labels: NDArray[np.int64]) -> bytes:
    return np.concatenate([labels[:, None].astype(np.uint8), planes], axis=1).tobytes()


def python(planes: NDArray[np.uint8], labels: NDArray[np.int64]) -> bytes:
    """A batch as Python 2 pickled it: the instructions of the published files, memo entries left out."""

    def text(value: bytes) -> bytes:
        return b"U" + bytes([len(value)]) + value

    content = planes.tobytes()
    return b"".join(
        [
            b"\x80\x02}(",
            text(b"batch_label"),
            text(b"training batch 1 of 5"),
            text(b"labels"),
            b"](" + b"".join(b"K" + bytes([label]) for label in labels.tolist()) + b"e",
            text(b"data"),
            b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + text(b"b") + b"\x87R",
            b"(K\x01M"
            + struct.pack("<H", len(labels))
            + b"M\x00\x0c\x86cnumpy\ndtype\n"
            + text(b"u1")
            + b"K\x00K\x01\x87R",
            b"(K\x03" + text(b"|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89",
            b"T" + struct.pack("<i", len(content)) + content + b"tb",
            text(b"filenames"),
            b"](" + text(b"leptodactylus_pentadactylus_s_000004.png") + b"eu.",
        ]
    )


def write(folder: Path, kind: str) -> None:
    suffix, encode = (".bin", binary) if kind == "binary" else ("", python)
    folder.mkdir(parents=True)
    for number, part in enumerate(np.split(np.arange(40), 2), start=1):
        (folder / f"data_batch_{number}{suffix}").write_bytes(encode(PLANES[part], LABELS[part]))
    (folder / f"test_batch{suffix}").write_bytes(b"never read")
    (folder / "batches.meta").write_bytes(b"never read")


@pytest.mark.parametrize("kind", ["binary", "python"])
@pytest.mark.parametrize("packed", [False, True])
def test_both_versions_as_folder_and_archive(tmp_path: Path, kind: str, packed: bool) -> None:
    path = tmp_path / "cifar-10-batches"
    write(path, kind)
    if packed:
        archive = tmp_path / "cifar-10.tar.gz"
        with tarfile.open(archive, "w:gz") as stream:
            stream.add(path, path.name)
        path = archive
    data = load_images(DataSettings("cifar10", path))
    assert (data.images == PLANES.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)).all()
    assert data.labels.tolist() == LABELS.tolist()
    assert data.class_names[3] == "cat"


def test_batches_that_are_links_in_an_archive_count(tmp_path: Path) -> None:
    write(tmp_path / "data", "binary")
    (tmp_path / "data" / "data_batch_3.bin").hardlink_to(tmp_path / "data" / "data_batch_1.bin")
    with tarfile.open(tmp_path / "x.tar", "w") as stream:
        stream.add(tmp_path / "data", "data")
    assert len(load_images(DataSettings("cifar10", tmp_path / "x.tar"))) == 60


def test_both_versions_side_by_side_count_once(tmp_path: Path) -> None:
    write(tmp_path / "data" / "binary", "binary")
    write(tmp_path / "data" / "python", "python")
    assert len(load_images(DataSettings("cifar10", tmp_path / "data"))) == 40


def test_a_pickle_that_runs_code_runs_nothing(tmp_path: Path) -> None:
    (tmp_path / "data_batch_1").write_bytes(b"\x80\x02cpathlib\nPath.home\n)R.")
    with pytest.raises(DataError, match="0 labels and 0 bytes"):
        load_images(DataSettings("cifar10", tmp_path))


@pytest.mark.parametrize("name", ["data_batch_1", "data_batch_1.bin"])
@pytest.mark.parametrize("keep", [0, 100, 50_000])
def test_damaged_batches_are_refused(tmp_path: Path, name: str, keep: int) -> None:
    content = binary(PLANES, LABELS) if name.endswith(".bin") else python(PLANES, LABELS)
    (tmp_path / name).write_bytes(content[:keep])
    with pytest.raises(DataError, match=f"'{name}'.*fetch it again"):
        load_images(DataSettings("cifar10", tmp_path))


def test_a_place_without_batches_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no CIFAR-10 batches"):
        load_images(DataSettings("cifar10", tmp_path))
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("a"), io.BytesIO())
    with pytest.raises(DataError, match="no CIFAR-10 batches"):
        load_images(DataSettings("cifar10", tmp_path / "x.tar"))
