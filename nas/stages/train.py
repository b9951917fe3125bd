"""Train: the images, their division, and one supernet whose weights every network of the space shares."""

from __future__ import annotations

from nas.distributed.training import train_on_workers
from nas.files import write_json
from nas.progress import Progress
from nas.stages.context import Context
from supernet import TrainData, TrainProgress, train, weights_digest
from supernet.native import unavailable_reason


def run(context: Context) -> None:
    """Train the supernet, or go on where an earlier run stopped.

    Raises:
        NasError: images of another number of classes than the space's networks tell apart.
        SupernetError: images, a checkpoint or settings that cannot be used.
    """
    context.check_classes()
    for told in context.images.left_out:
        context.progress.note(f"train: {told}")
    directory = context.path("train")
    data = TrainData(context.images, context.split, context.preprocessing)
    listener, workers = TrainListener(context.progress), context.config.workers
    if context.config.train_settings.resolve_device().type == "cpu" and (missing := unavailable_reason()):
        context.progress.note(f"train: steps take about half as long again without compiled kernels: {missing}")
    if workers > 1:
        train_on_workers(context.run, workers, listener, context.progress.note)
    else:
        train(context.space, data, context.config.train_settings, directory, listener)
    write_json(context.run.result("train"), {"weights_sha256": weights_digest(directory)})


class TrainListener:
    """Passes on where training stands; how many steps an earlier run did is known from the first report only.

    Args:
        progress: to whom.
        stage: what the piece of work is called there.
    """

    def __init__(self, progress: Progress, stage: str = "train") -> None:
        self._progress = progress
        self._stage = stage
        self._step: int | None = None

    def __call__(self, report: TrainProgress) -> None:
        """Training stands here."""
        # After a worker was lost, training goes on from an earlier step.
        if self._step is None or report.step < self._step:
            self._progress.start(self._stage, report.total_steps, "step", done=report.step)
            self._step = report.step
        detail = f"loss {report.loss:.3f}, {report.images_per_s:.0f} images/s"
        self._progress.advance(report.step - self._step, detail)
        self._step = report.step
