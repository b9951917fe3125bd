"""What a training costs, in multiply-accumulates, counted from its plans without training anything."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

import numpy as np

from search_spaces import Architecture, SearchSpace, macs
from supernet.errors import SupernetError
from supernet.settings import TrainSettings
from supernet.strategies import Plan, Run, strategy_of

_SAMPLED_STEPS = 400


def training_macs(space: SearchSpace, settings: TrainSettings, train_images: int, *, steps: int | None = None) -> int:
    """Multiply-accumulates of a whole training: forward passes count once, backward passes twice.

    A frozen teacher and candidates that are only compared take forward passes alone; which candidate is then trained
    is not known beforehand, and their mean is counted. Evaluation, norms and element-wise operations count as none.

    Args:
        space: whose networks are trained.
        settings: how.
        train_images: number of training images.
        steps: how many evenly spread steps to look at, the others being taken to cost as much; None: every one.

    Raises:
        SupernetError: fewer images than a step needs.
    """
    images = settings.batch_size * settings.accumulate
    steps_per_epoch = train_images // images
    if steps_per_epoch < 1:
        raise SupernetError(f"a step takes {images} images and there are {train_images}; lower train.batch_size")
    run, strategy = Run(space, settings, steps_per_epoch), strategy_of(settings)

    @lru_cache(maxsize=4096)
    def cost(arch: Architecture) -> int:
        return macs(space.lower(arch))

    total = run.total_steps
    looked_at = min(steps or total, total)
    # The middle of each of as many equal parts.
    positions = ((np.arange(looked_at) + 0.5) / looked_at * total).astype(int).tolist()
    counted = sum(plan_macs(strategy.plan(run, step), cost) for step in positions)
    return round(counted * total / looked_at) * images


def plan_macs(plan: Plan, cost: Callable[[Architecture], int]) -> float:
    """Multiply-accumulates of one step for one image, given those of a network's forward pass."""
    counted = float(cost(plan.teacher)) if plan.teacher is not None else 0.0
    for lesson in plan.lessons:
        forward = [cost(arch) for arch in lesson.candidates]
        counted += 3 * sum(forward) / len(forward) + (sum(forward) if len(forward) > 1 else 0)
    return counted


def epochs_within(budget_macs: float, space: SearchSpace, settings: TrainSettings, train_images: int) -> int:
    """The most epochs that a budget allows for, as estimated on a few hundred steps.

    Strategies are compared fairly by giving each as many epochs as it can have for the same multiply-accumulates.

    Args:
        budget_macs: multiply-accumulates of the whole training.
        space: whose networks are trained.
        settings: how; its own ``epochs`` does not matter.
        train_images: number of training images.

    Raises:
        SupernetError: the budget is too small for one epoch.
    """

    def cost(epochs: int) -> int:
        warmup = min(settings.warmup_epochs, epochs)
        shorter = replace(settings, epochs=epochs, warmup_epochs=warmup)
        return training_macs(space, shorter, train_images, steps=_SAMPLED_STEPS)

    low = cost(1)
    if low > budget_macs:
        raise SupernetError(f"a budget of {budget_macs:.3g} MACs is less than the {low:.3g} of one epoch; give more")
    # Cost is close to proportional to the epochs: the guess is off by rounding of phases only.
    probe = cost(100)
    epochs = max(1, int(budget_macs / probe * 100))
    while epochs > 1 and cost(epochs) > budget_macs:
        epochs -= 1
    while cost(epochs + 1) <= budget_macs:
        epochs += 1
    return epochs
