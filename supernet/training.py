"""Training of a supernet in one loop that reads from top to bottom; what is learned at each step the strategy says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from search_spaces import SearchSpace
from supernet.allocator import memory_kept
from supernet.checkpoint import WEIGHTS, Checkpoint, load_checkpoint, load_weights, save_weights
from supernet.checks import check_data
from supernet.data import TrainBatches, TrainData
from supernet.errors import SupernetError
from supernet.identity import changes, training_identity
from supernet.interpreter import Supernet
from supernet.learning import Batch, add_gradients
from supernet.records import Records
from supernet.settings import TrainSettings
from supernet.state import TrainState
from supernet.status import TrainProgress
from supernet.strategies import Run, strategy_of
from supernet.workers import Workers


def train(
    space: SearchSpace,
    data: TrainData,
    settings: TrainSettings,
    directory: Path,
    progress: Callable[[TrainProgress], None] | None = None,
    *,
    workers: Workers | None = None,
) -> Supernet:
    """Train a supernet, or go on where a killed or interrupted run stopped, to the same weights.

    Args:
        space: the space whose networks share the weights.
        data: images, split and preprocessing.
        settings: how to train.
        directory: gets checkpoints, ``log.jsonl`` (a row an epoch), ``status.json`` (where training stands) and, at
            the end, ``weights.safetensors``.
        progress: called about twice a second.
        workers: the processes that each train on a part of every batch; all of them call this, see the same directory
            and return the same supernet, and the first one writes.

    Raises:
        DataError: images that nothing can be learned from, a class missing from a part of the split, or fewer training
            images than a step takes.
        SupernetError: a damaged checkpoint, one of other settings or data, a loss or weights that are not finite, a
            space for another number of classes, a full disk, or a package to watch with that is not installed. The
            last good checkpoint is kept.
        KeyboardInterrupt: passed on; the steps since the last checkpoint are taken again by the next run.
    """
    if settings.threads:
        torch.set_num_threads(settings.threads)
    check_data(space, data.images, data.split)
    with memory_kept():
        return _train(space, data, settings, directory, progress, workers=workers)


def _train(
    space: SearchSpace,
    data: TrainData,
    settings: TrainSettings,
    directory: Path,
    progress: Callable[[TrainProgress], None] | None,
    *,
    workers: Workers | None,
) -> Supernet:
    batches = _batches(data, settings, workers)
    strategy, run = strategy_of(settings), Run(space, settings, batches.steps_per_epoch)
    state = TrainState(space, settings)
    identity = training_identity(space, data.images, data.split, data.preprocessing, settings)
    start = _restore(load_checkpoint(directory), identity, state, directory)
    writes = workers is None or workers.rank == 0
    records = Records(run, data, directory, identity, start, progress) if writes else None

    for step in range(start, run.total_steps):
        plan = strategy.plan(run, step)
        for event in plan.events:
            state.prepare(event)
        parts = _parts(batches.batch(step), settings)
        seed = _dropout_seed(settings, step, workers)
        loss = add_gradients(state, plan, parts, smoothing=settings.label_smoothing, seed=seed, workers=workers)
        state.update(step, plan.learning_rate)

        done = step + 1
        epoch_ends = done % run.steps_per_epoch == 0
        if epoch_ends:
            _check_finite(loss, state, step, directory)
        if records is None:
            continue
        records.step(done, loss, plan.learning_rate)
        if epoch_ends:
            records.epoch(done, loss, plan.learning_rate, state.judged)
        if records.checkpoint_due:
            _check_finite(loss, state, step, directory)
            records.checkpoint(done, state)
    if records is not None:
        records.close()
        save_weights(directory, dict(state.judged.shared.named_parameters()))
    return state.judged


def load_supernet(space: SearchSpace, directory: Path) -> Supernet:
    """The supernet that ``train`` left in a directory, float32, on the CPU.

    Raises:
        SupernetError: weights missing, damaged, or of another space.
    """
    supernet = Supernet(space)
    try:
        supernet.shared.load_state_dict(load_weights(directory))
    except RuntimeError as error:
        raise SupernetError(f"{directory / WEIGHTS} does not hold weights of space {space.name!r}: {error}") from error
    return supernet.requires_grad_(requires_grad=False)


def _batches(data: TrainData, settings: TrainSettings, workers: Workers | None) -> TrainBatches:
    return TrainBatches(
        data.images.images,
        data.images.labels,
        data.preprocessing,
        batch_size=settings.batch_size * settings.accumulate,
        seed=settings.seed,
        crop_padding=settings.crop_padding,
        # Black borders would be in nearly every training image and in no image judged: measured 5 points of accuracy.
        padding="reflect",
        flip=settings.flip,
        indices=data.split.train,
        device=settings.resolve_device(),
        part=(workers.rank, workers.size) if workers is not None else (0, 1),
    )


def _parts(batch: Batch, settings: TrainSettings) -> list[Batch]:
    """A step's images as the batches that are computed one after another."""
    inputs, labels = batch
    size, dtype = len(labels) // settings.accumulate, settings.resolve_dtype()
    return [(x.to(dtype), y) for x, y in zip(torch.split(inputs, size), torch.split(labels, size), strict=True)]


def _dropout_seed(settings: TrainSettings, step: int, workers: Workers | None) -> int:
    """Of a step, and of the part of the batch."""
    entropy = (settings.seed, 3, step, *([workers.rank] if workers is not None else []))
    return int(np.random.default_rng(entropy).integers(2**62))


def _restore(checkpoint: Checkpoint | None, identity: dict[str, object], state: TrainState, directory: Path) -> int:
    """Put a checkpoint's state in place; the number of steps done."""
    if checkpoint is None:
        return 0
    changed = changes(checkpoint.identity, identity)
    if changed:
        raise SupernetError(
            f"the checkpoint in {directory} was made with another space, data set or training settings: "
            f"{'; '.join(changed)}. Go on with those, or train in a new directory"
        )
    state.restore(checkpoint.tensors)
    return checkpoint.step


def _check_finite(loss: Tensor, state: TrainState, step: int, directory: Path) -> None:
    try:
        if not torch.isfinite(loss):
            raise SupernetError(f"the loss is {loss.item()}")
        state.check_finite()
    except SupernetError as error:
        raise SupernetError(
            f"{error} at step {step + 1}; the last good checkpoint is kept in {directory}: "
            "lower train.learning_rate or lengthen train.warmup_epochs, and train in a new directory"
        ) from None
