"""What benchmarks train: networks alone, each training made once, by one process at a time."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from nas.errors import NasError
from nas.lock import exclusive
from nas.progress import Silent
from search_spaces import SearchSpace, get_space, macs
from supernet import TrainData, TrainSettings, training_macs
from supernet.data import DataSettings, load_images, make_split, measure_preprocessing

SETTINGS = TrainSettings(epochs=2, batch_size=30, warmup_epochs=0.5, crop_padding=1, threads=1, checkpoint_every_s=0)
OPTIONS = {"resolutions": [6, 8], "widths": [0.5], "kernels": [3], "expansions": [2], "depths": [1]}


@pytest.fixture
def trained(benchmarks: Path) -> ModuleType:
    return importlib.import_module("trained")


@pytest.fixture
def space() -> SearchSpace:
    return get_space("mobilenetv3_32", OPTIONS)


@pytest.fixture(scope="module")
def data() -> TrainData:
    images = load_images(DataSettings("digits", limit=150))
    split = make_split(images.labels, validation=0.2, calibration=20)
    return TrainData(images, split, measure_preprocessing(images.images, split.train))


class Stopping(Silent):
    """Ctrl-C, once a training stands at a step."""

    def start(self, stage: str, total: int, unit: str, done: int = 0) -> None:
        raise KeyboardInterrupt


def weights(folder: Path) -> bytes:
    return (folder / "weights.safetensors").read_bytes()


def test_a_space_of_one_network_is_that_network(trained: ModuleType, space: SearchSpace) -> None:
    small, large = (trained.OneNetwork(space, arch) for arch in (space.smallest(), space.largest()))
    assert small.size == 1 and small.name != large.name
    assert small.lower(small.sample(np.random.default_rng(0))) == space.lower(space.smallest())
    assert small.largest() == small.smallest()
    assert large.lower(large.largest()) == space.lower(space.largest())


def test_a_network_alone_learns_from_labels_in_every_step(trained: ModuleType, space: SearchSpace) -> None:
    recipe = replace(SETTINGS, solo_share=0.5, grow_resolution=True, random_subnets=1, label_smoothing=0.2)
    settings = trained.alone(recipe)
    assert (settings.strategy, settings.label_smoothing) == ("single_path", 0.2)
    one = trained.OneNetwork(space, space.largest())
    assert training_macs(one, settings, 60) == 3 * 2 * 60 * macs(space.lower(space.largest()))


def test_a_training_is_made_once_and_goes_on_where_it_was_stopped(
    trained: ModuleType, space: SearchSpace, data: TrainData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = trained.OneNetwork(space, space.largest())
    undisturbed, stopped = (trained.Training(tmp_path / name, one, trained.alone(SETTINGS)) for name in "ab")
    undisturbed.make(data, Silent())
    with pytest.raises(KeyboardInterrupt):
        stopped.make(data, Stopping())
    stopped.make(data, Silent())
    assert weights(stopped.directory) == weights(undisturbed.directory)

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(trained, "train", never)
    stopped.make(data, Silent())
    moved = replace(stopped, settings=replace(stopped.settings, threads=2, precision="bfloat16"))
    moved.make(data, Silent())
    assert stopped.supernet().space is one
    other = replace(stopped, settings=replace(stopped.settings, learning_rate=0.1))
    with pytest.raises(NasError, match=r"another training: train.learning_rate is 0.1 and was 0.2. Give --work"):
        other.make(data, Silent())


def test_a_folder_of_another_process_is_waited_for(
    trained: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trained, "_WAIT_S", 0.01)
    folders = [tmp_path / name for name in ("first", "second")]
    done: list[str] = []
    release = threading.Event()

    def other(ready: Callable[[], object]) -> None:
        with exclusive(folders[0] / ".lock"):
            ready()
            release.wait(60)

    def do(folder: Path) -> None:
        done.append(folder.name)
        release.set()

    ready = threading.Event()
    thread = threading.Thread(target=other, args=(ready.set,))
    thread.start()
    assert ready.wait(60)
    trained.take_turns(folders, do)
    thread.join()
    assert done == ["second", "first"]


def test_ctrl_c_and_what_a_user_can_mend_are_one_message(
    trained: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped, trained.stoppable():
        raise KeyboardInterrupt
    assert stopped.value.code == 130
    assert "the same command goes on" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="give another"), trained.stoppable():
        raise NasError("give another")
