"""Two real Ray Train workers against one process, and what becomes of a training whose worker is killed."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import ray
import torch
import torch.distributed as dist
from safetensors.torch import load_file

from nas.config import Config, make_config
from nas.distributed import training
from nas.errors import NasError
from nas.pipeline import prepare, run_stage
from nas.progress import Silent
from nas.run_directory import RunDirectory
from supernet import SupernetError, TrainProgress
from supernet.status import write_status

STEPS = 50
SPACE = {"widths": [0.5], "depths": [1, 2], "kernels": [3, 5], "expansions": [2, 3], "resolutions": [16]}

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name != "posix", reason="kills processes by signal")]


class Notes(Silent):
    """Keeps what a person would read."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    """One cluster for all: starting one takes seconds. Three processors even where there are fewer."""
    ray.init(address="local", num_cpus=3, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


def config(workers: int, **train: object) -> Config:
    settings = {
        "epochs": STEPS,
        "batch_size": 32,
        # At 0.2 rounding grows so fast that one process with two threads differs from one with one by 3e-4 at step 3.
        "learning_rate": 0.002,
        "random_subnets": 1,
        "precision": "float32",
        "evaluate_every": STEPS,
        "checkpoint_every_s": 0.3,
    }
    return make_config(
        {
            "threads": 1,
            "workers": workers,
            "space": {"name": "mobilenetv3_32", "options": SPACE},
            "data": {"source": "digits", "size": 16, "limit": 60},
            # One step an epoch: the log has the loss of every step.
            "split": {"validation": 0.2, "test": 0.2, "calibration": 8},
            "train": settings | train,
            "targets": [{"name": "chip", "device": "fake"}],
        }
    )


def train(path: Path, workers: int, progress: Notes | None = None, **changes: object) -> None:
    prepare(config(workers, **changes), path)
    run_stage(path, "train", progress=progress or Notes())


def losses(path: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (path / "train" / "log.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "two"
    train(path, workers=2)
    return path


@pytest.fixture
def only_worker() -> Iterator[None]:
    """This process is a group of workers of its own."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def test_two_workers_learn_what_one_process_learns(two: Path, tmp_path: Path) -> None:
    train(tmp_path / "one", workers=1)
    found, expected = losses(two), losses(tmp_path / "one")
    assert len(found) == len(expected) == STEPS
    assert found == pytest.approx(expected, rel=0, abs=1e-4)


def test_training_goes_on_after_a_worker_was_killed(
    two: Path, tmp_path: Path, kill_process: Callable[[str], bool]
) -> None:
    path, notes = tmp_path / "run", Notes()

    def kill() -> None:
        deadline = time.monotonic() + 200
        while not (path / "train" / "checkpoint.json").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert kill_process("RayTrainWorker")

    killer = threading.Thread(target=kill)
    killer.start()
    train(path, workers=2, progress=notes)
    killer.join()
    assert len(notes.notes) == 1
    assert "a training worker was lost" in notes.notes[0]
    weights, undisturbed = (load_file(p / "train" / "weights.safetensors") for p in (path, two))
    for name, value in undisturbed.items():
        torch.testing.assert_close(weights[name], value, rtol=0, atol=0, msg=name)


def test_what_training_refuses_is_not_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, only_worker: None
) -> None:
    """The worker is this process: others take Ray half a minute to start."""
    attempts: list[Exception] = []

    def attempt(run: RunDirectory, workers: int, needs: dict[str, float]) -> Exception:
        with pytest.raises(SupernetError) as refused:
            training._work({"run": str(run.path), "data": None})
        attempts.append(refused.value)
        return refused.value

    monkeypatch.setattr(training, "_attempt", attempt)
    notes = Notes()
    with pytest.raises(NasError, match=r"lower train\.learning_rate"):
        train(tmp_path / "run", 2, notes, learning_rate=1000.0, warmup_epochs=0, gradient_clip=0)
    assert notes.notes == []
    assert len(attempts) == 1


def test_a_cluster_too_small_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(NasError, match="16 training workers need 1 CPU each, and the Ray cluster has 3 in all"):
        train(tmp_path / "run", workers=16)


def test_the_end_is_told_of_and_what_an_earlier_run_left_is_not(tmp_path: Path) -> None:
    at = [TrainProgress(step, 4, 0, 1.0, 0.1, 10.0, 0.0) for step in (3, 4)]
    write_status(tmp_path, at[0])
    told: list[TrainProgress] = []
    with training._told(tmp_path, told.append):
        write_status(tmp_path, at[1])
    assert told == [at[1]]
