from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from supernet.data import DataSettings, Source, load_images
from supernet.errors import DataError


@pytest.mark.parametrize("source", ["folder", "tar", "cifar10", "numpy"])
def test_a_missing_path_is_one_clear_error(source: Source, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere' does not exist; give the place"):
        load_images(DataSettings(source, tmp_path / "nowhere"))


def test_folder_and_file_are_told_apart(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"")
    with pytest.raises(DataError, match=r"set data\.source to 'tar'"):
        load_images(DataSettings("folder", file))
    with pytest.raises(DataError, match=r"set data\.source to 'folder'"):
        load_images(DataSettings("tar", tmp_path))


def test_images_that_are_not_square_need_a_size(image_tree: Callable[..., Path]) -> None:
    folder = image_tree(["a/1.png", "b/1.png"], size=(6, 8))
    with pytest.raises(DataError, match=r"8x6 px, not square; set data\.size"):
        load_images(DataSettings("folder", folder))
    assert load_images(DataSettings("folder", folder, size=6)).size == (6, 6)


def test_home_and_text_paths_are_understood(image_tree: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = image_tree(["a/1.png", "b/1.png"])
    monkeypatch.setenv("HOME", str(folder.parent))
    assert len(load_images(DataSettings("folder", Path("~") / folder.name))) == 2


def test_cifar10_archive_of_jpegs(cifar10_tar: Path) -> None:
    calls: list[tuple[int, int]] = []
    data = load_images(DataSettings("tar", cifar10_tar, limit=2000), lambda *call: calls.append(call))
    assert data.class_names[:3] == ("airplane", "automobile", "bird")
    assert data.images.shape == (2000, 32, 32, 3)
    assert np.bincount(data.labels).tolist() == [200] * 10
    assert calls[-1] == (2000, 2000)
    # CIFAR-10 is about mid-grey; a wrong channel order or scale would be far off these means.
    assert np.abs(data.images.mean(axis=(0, 1, 2)) / 255 - [0.491, 0.482, 0.446]).max() < 0.02
