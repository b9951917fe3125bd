from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

ImageTree = Callable[..., Path]


def encode(image: NDArray[np.uint8], kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, kind)
    return stream.getvalue()


@pytest.fixture
def image_tree(tmp_path: Path) -> ImageTree:
    """Makes a folder of images: keyword ``names`` lists their paths; their pixels are random."""

    def make(names: list[str], root: str = "images", size: tuple[int, int] = (6, 6)) -> Path:
        rng = np.random.default_rng(0)
        for name in names:
            path = tmp_path / root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            kind = "JPEG" if path.suffix.lower() in (".jpg", ".jpeg") else path.suffix[1:].upper()
            path.write_bytes(encode(rng.integers(0, 256, (*size, 3), dtype=np.uint8), kind))
        return tmp_path / root

    return make


@pytest.fixture(scope="session")
def cifar10_tar() -> Path:
    """CIFAR-10's training images; not part of the repository."""
    beside = Path(__file__).parents[4] / "shared" / "data"
    path = Path(os.environ.get("HWNAS_DATA", beside)) / "cifar10" / "train.tar.gz"
    if not path.exists():
        pytest.skip(f"needs {path}; set HWNAS_DATA to the folder that holds cifar10/train.tar.gz")
    return path
