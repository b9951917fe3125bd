"""What goes wrong in trainings: each a clear message, nothing lost."""

from __future__ import annotations

import errno
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from search_spaces import SearchSpace, get_space
from supernet import DataError, SupernetError, TrainData, TrainSettings, train
from supernet.data import ImageData
from supernet.state import TrainState

SETTINGS = TrainSettings(epochs=1, batch_size=16, crop_padding=1, threads=1, precision="float32", checkpoint_every_s=0)


def with_images(data: TrainData, images: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> TrainData:
    return replace(data, images=ImageData(images, data.images.labels, data.images.class_names))


def test_images_without_a_difference_are_refused_before_the_first_step(
    tiny_space: SearchSpace, coloured_squares: TrainData, tmp_path: Path
) -> None:
    black = with_images(coloured_squares, np.zeros_like(coloured_squares.images.images))
    with pytest.raises(DataError, match=r"all 72 training images are of the one colour \(0, 0, 0\): there is nothing"):
        train(tiny_space, black, SETTINGS, tmp_path)
    same = with_images(coloured_squares, np.repeat(coloured_squares.images.images[:1], 120, 0))
    with pytest.raises(DataError, match="all 72 training images are the same: there is nothing"):
        train(tiny_space, same, SETTINGS, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_a_class_missing_from_a_part_is_named(
    part: str, tiny_space: SearchSpace, coloured_squares: TrainData, tmp_path: Path
) -> None:
    split, labels = coloured_squares.split, coloured_squares.images.labels
    kept = {name: getattr(split, name) for name in (part, "calibration")}
    split = replace(split, **{name: indices[labels[indices] != 1] for name, indices in kept.items()})
    with pytest.raises(DataError, match=f"split: no {part} image shows class 'green'"):
        train(tiny_space, replace(coloured_squares, split=split), SETTINGS, tmp_path)


def test_a_wrong_number_of_classes_is_told(coloured_squares: TrainData, tmp_path: Path) -> None:
    with pytest.raises(SupernetError, match=r"3 classes and the networks of 'mobilenetv3_32' 10 outputs.*classes=3"):
        train(get_space("mobilenetv3_32"), coloured_squares, SETTINGS, tmp_path)


def test_a_full_disk_leaves_the_last_checkpoint_and_training_goes_on_from_it(
    tiny_space: SearchSpace, coloured_squares: TrainData, tmp_path: Path
) -> None:
    train(tiny_space, coloured_squares, SETTINGS, tmp_path / "whole")
    synced = 0

    def fsync(_file: int) -> None:
        nonlocal synced
        synced += 1
        if synced > 4:
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("supernet.files.os.fsync", fsync)
        with pytest.raises(SupernetError, match=r"the disk is full: the checkpoint of step 3 \(\d+ MB\).*one is kept"):
            train(tiny_space, coloured_squares, SETTINGS, tmp_path / "full")
    assert json.loads((tmp_path / "full" / "checkpoint.json").read_text())["step"] == 2
    assert sorted(path.name for path in (tmp_path / "full").iterdir()) == [
        "checkpoint-000000002.safetensors",
        "checkpoint.json",
    ]
    train(tiny_space, coloured_squares, SETTINGS, tmp_path / "full")
    weights = [(tmp_path / name / "weights.safetensors").read_bytes() for name in ("whole", "full")]
    assert weights[0] == weights[1]


def test_weights_that_are_not_finite_never_become_a_checkpoint(
    tiny_space: SearchSpace, coloured_squares: TrainData, tmp_path: Path
) -> None:
    update = TrainState.update

    def broken(self: TrainState, step: int, rate: float) -> None:
        update(self, step, rate)
        if step == 2:
            with torch.no_grad():
                self.supernet.shared.get("stem.conv", "norm_shift")[0] = float("inf")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainState, "update", broken)
        with pytest.raises(SupernetError, match=r"weights of 'stem\.conv' are not finite at step 3; the last good"):
            train(tiny_space, coloured_squares, SETTINGS, tmp_path)
    assert json.loads((tmp_path / "checkpoint.json").read_text())["step"] == 2
