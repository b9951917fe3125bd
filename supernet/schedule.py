"""Learning-rate schedules: pure functions of the step, so that a resumed run takes the very same steps."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from supernet.settings import TrainSettings


def learning_rate(settings: TrainSettings, step: int, steps_per_epoch: int) -> float:
    """Rate of a step: linear warm-up, then a cosine to zero, over the whole training."""
    warmup = settings.warmup_epochs * steps_per_epoch
    return warm_cosine(settings.learning_rate, step, warmup, settings.epochs * steps_per_epoch)


def warm_cosine(peak: float, step: int, warmup: float, total: int) -> float:
    """Linear warm-up, then a cosine to zero (Loshchilov & Hutter 2017, equation 5, without restarts).

    Args:
        peak: rate at the end of the warm-up.
        step: from 0 to ``total - 1``.
        warmup: steps of warm-up.
        total: all steps.
    """
    if step < warmup:
        return peak * (step + 1) / warmup
    progress = (step - warmup) / max(total - warmup, 1)
    return peak * 0.5 * (1 + math.cos(math.pi * progress))
