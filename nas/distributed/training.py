"""Data-parallel training through Ray Train: gloo between processors, nccl between GPUs."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from nas.distributed.cluster import connected, last_line, set_aside
from nas.errors import NasError
from nas.files import read_json, write_json
from nas.progress import Silent
from nas.run_directory import RunDirectory
from nas.stages.context import Context
from supernet import SupernetError, TrainData, TrainProgress, Workers, read_status, train

RESTARTS: Final = 5
"""How often training goes on from its last checkpoint after a worker was lost."""

_POLL_S = 0.5
_REASON = "failure.json"
_RAY = "ray"


def train_on_workers(
    run: RunDirectory,
    workers: int,
    progress: Callable[[TrainProgress], None],
    note: Callable[[str], None],
    *,
    restarts: int = RESTARTS,
) -> None:
    """Train a run's supernet with several processes that share every batch, or go on from its checkpoint.

    The weights are those that one process would reach with the same batches, up to rounding. Every worker reads the
    run directory and the images, so on several machines both lie on a disk that all of them see.

    Args:
        run: the run; its images, split and preprocessing have been made.
        workers: processes; each has its share of the run's threads, or a GPU where there is one.
        progress: told where training stands.
        note: told in a sentence when a worker was lost.
        restarts: how many losses are put up with.

    Raises:
        NasError: what training itself refuses, a cluster too small, or more losses than ``restarts``; the last
            checkpoint is kept.
    """
    directory = run.path / "train"
    directory.mkdir(exist_ok=True)
    with connected(), _told(directory, progress):
        needs = _resources(run, workers)
        for losses in range(restarts + 1):
            (directory / _REASON).unlink(missing_ok=True)
            error = _attempt(run, workers, needs)
            if error is None:
                return
            if (directory / _REASON).is_file():
                raise NasError(str(read_json(directory / _REASON)["error"]))
            if losses == restarts:
                raise NasError(
                    f"training lost a worker {losses + 1} times, the last time with: {last_line(error)}. The last "
                    f"checkpoint is kept in {directory}; see what ails the machines (memory, `ray status`), then run "
                    f"`nas train {run.path}` again"
                )
            note(f"a training worker was lost ({last_line(error)}); going on from the last checkpoint")


def _attempt(run: RunDirectory, workers: int, needs: dict[str, float]) -> Exception | None:
    """Train until the end or the first failure, which is returned."""
    from ray.train import FailureConfig, RunConfig, ScalingConfig, TrainingFailedError  # noqa: PLC0415 (seconds)
    from ray.train.torch import TorchTrainer  # noqa: PLC0415

    storage = run.path.resolve() / "train" / _RAY
    data = run.config.data.path
    trainer = TorchTrainer(
        _work,
        train_loop_config={"run": str(run.path.resolve()), "data": str(data.resolve()) if data else None},
        scaling_config=ScalingConfig(num_workers=workers, resources_per_worker=needs, use_gpu="GPU" in needs),
        # Not Ray's own restarts: it would try again whatever the error, also bad input.
        run_config=RunConfig(name="train", storage_path=str(storage), failure_config=FailureConfig(max_failures=0)),
    )
    try:
        trainer.fit()
    except TrainingFailedError as error:
        return error
    finally:
        shutil.rmtree(storage, ignore_errors=True)
    return None


def _work(config: dict[str, Any]) -> None:
    """One worker, in a process of Ray's; the process group is there already."""
    path = Path(config["run"])
    run = RunDirectory(path, data=Path(config["data"]) if config["data"] else None)
    workers = Workers()
    try:
        context = Context(run, Silent())
        settings = replace(context.config.train_settings, threads=_threads(run, workers.size))
        data = TrainData(context.images, context.split, context.preprocessing)
        train(context.space, data, settings, path / "train", workers=workers)
    except (NasError, SupernetError, OSError) as error:
        write_json(path / "train" / _REASON, {"error": str(error), "rank": workers.rank})
        raise


def _threads(run: RunDirectory, workers: int) -> int:
    return max(1, run.config.threads // workers)


def _resources(run: RunDirectory, workers: int) -> dict[str, float]:
    """What Ray sets aside for each worker.

    Raises:
        NasError: the cluster does not have it.
    """
    import ray  # noqa: PLC0415

    device = run.config.train.device
    gpu = device == "cuda" or (device == "auto" and ray.cluster_resources().get("GPU", 0) > 0)  # type: ignore[no-untyped-call]
    threads = _threads(run, workers)
    return set_aside("training workers", workers, threads=threads, gpu=gpu, remedy="lower workers or threads")


@contextmanager
def _told(directory: Path, progress: Callable[[TrainProgress], None]) -> Iterator[None]:
    """Pass on what the first worker writes of where training stands, from a thread."""
    ended, before = threading.Event(), _standing(directory)

    def watch() -> None:
        told, last = before, False
        while not last:
            last = ended.wait(_POLL_S)  # once more at the end: the last steps are told of like all others
            stands = _standing(directory)
            if stands is not None and stands != told:
                told = stands
                progress(stands)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()


def _standing(directory: Path) -> TrainProgress | None:
    """Where training stands, if that can be read."""
    try:
        status = read_status(directory)
    except SupernetError:  # for people to see by `nas train --status`; training writes the file again
        return None
    return None if status is None else status.progress
