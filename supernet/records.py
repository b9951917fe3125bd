"""All that a training leaves on the disk while it runs: its log, where it stands, checkpoints."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from search_spaces import Architecture
from supernet.checkpoint import Checkpoint, save_checkpoint
from supernet.data import TrainData
from supernet.evaluate import SubnetEvaluator
from supernet.interpreter import Supernet
from supernet.settings import TrainSettings
from supernet.state import TrainState
from supernet.status import TrainProgress, write_status
from supernet.strategies import Run
from supernet.watching import make_listeners

_PROGRESS_EVERY_S = 0.5
_STATUS_EVERY_S = 5.0
_WATCHED_VALIDATION_IMAGES = 2000
_WATCHED_RANDOM = 2


@dataclass
class Records:
    """Takes note of every step, and decides when that is worth writing down.

    Attributes:
        run: what is trained, for how long.
        data: the validation images are watched.
        directory: where all is written.
        identity: of the training, for its checkpoints.
        start: steps done before.
        progress: called about twice a second.
    """

    run: Run
    data: TrainData
    directory: Path
    identity: Mapping[str, object]
    start: int
    progress: Callable[[TrainProgress], None] | None

    def __post_init__(self) -> None:
        """Open the logs."""
        self._listeners = make_listeners(self.directory, self.run.settings, self.start)
        self._watch: _Watch | None = None
        self._started = self._reported = self._told = self._saved = self._epoch_started = time.monotonic()

    def step(self, done: int, loss: Tensor, rate: float) -> None:
        """Tell where training stands, if that is due."""
        now, last = time.monotonic(), done == self.run.total_steps
        if not last and now - self._reported <= _PROGRESS_EVERY_S:
            return
        self._reported = now
        per_step = (now - self._started) / (done - self.start)
        left = per_step * (self.run.total_steps - done)
        images = self.run.settings.batch_size * self.run.settings.accumulate
        epoch = (done - 1) // self.run.steps_per_epoch
        report = TrainProgress(done, self.run.total_steps, epoch, loss.item(), rate, images / per_step, left)
        if self.progress is not None:
            self.progress(report)
        if last or now - self._told > _STATUS_EVERY_S:
            write_status(self.directory, report)
            self._told = now

    def epoch(self, done: int, loss: Tensor, rate: float, judged: Supernet) -> None:
        """Write the row of an epoch that has just ended."""
        settings, epoch = self.run.settings, done // self.run.steps_per_epoch
        figures = {"epoch": epoch, "loss": loss.item(), "learning_rate": rate}
        if epoch % settings.evaluate_every == 0 or done == self.run.total_steps:
            self._watch = self._watch or _Watch(self.data, settings, judged)
            figures |= self._watch.accuracies()
        figures["seconds"] = time.monotonic() - self._epoch_started
        self._epoch_started = time.monotonic()
        for listener in self._listeners:
            listener.row(done, figures)

    @property
    def checkpoint_due(self) -> bool:
        """Whether the last checkpoint is old enough."""
        return time.monotonic() - self._saved > self.run.settings.checkpoint_every_s

    def checkpoint(self, done: int, state: TrainState) -> None:
        """Write a checkpoint."""
        save_checkpoint(self.directory, Checkpoint(done, dict(self.identity), state.tensors()))
        self._saved = time.monotonic()

    def close(self) -> None:
        """Nothing more will come."""
        for listener in self._listeners:
            listener.close()


class _Watch:
    """Accuracies of a few sub-networks on validation images, the same ones every time."""

    def __init__(self, data: TrainData, settings: TrainSettings, judged: Supernet) -> None:
        rng, space = np.random.default_rng(settings.seed), judged.space
        watched = rng.permutation(data.split.validation)[:_WATCHED_VALIDATION_IMAGES]
        self._evaluator = SubnetEvaluator(judged, data.images, data.preprocessing, data.split.calibration, watched)
        self._archs: dict[str, list[Architecture]] = {
            "smallest": [space.smallest()],
            "largest": [space.largest()],
            "random": [space.sample(rng) for _ in range(_WATCHED_RANDOM)],
        }

    def accuracies(self) -> dict[str, float]:
        """``validation_accuracy_`` of the smallest, the largest and, their mean, of random sub-networks."""
        return {
            f"validation_accuracy_{name}": float(np.mean([self._evaluator.accuracy(arch) for arch in archs]))
            for name, archs in self._archs.items()
        }
