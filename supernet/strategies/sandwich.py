"""BigNAS's single stage: the largest network learns from labels, all others from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from supernet.ranges import check_ranges
from supernet.schedule import learning_rate
from supernet.strategies.base import SHARED_SETTINGS, largest_alone, step_rng
from supernet.strategies.plan import Divergence, Lesson, Plan, Run
from supernet.strategies.registry import register_strategy


@register_strategy("sandwich")
@dataclass(frozen=True)
class Sandwich:
    """BigNAS (Yu et al. 2020, section 3.1): the largest from labels, the smallest and random ones from its outputs.

    Attributes:
        dropout: of the largest network only (section 3.1, "regularise only the largest").
    """

    dropout: float = 0.0
    divergence: ClassVar[Divergence] = "cross_entropy"
    uses: ClassVar[frozenset[str]] = frozenset(SHARED_SETTINGS)

    def __post_init__(self) -> None:
        """Check every range."""
        check_ranges("train.options", vars(self), {"dropout": (0.0, 0.9)})

    def plan(self, run: Run, step: int) -> Plan:
        """The largest alone for ``solo_share`` of the steps; then all of the sandwich rule's."""
        rate = learning_rate(run.settings, step, run.steps_per_epoch)
        alone = run.settings.solo_share * run.total_steps
        if step < alone:
            arch = largest_alone(run, step, alone)
            return Plan(rate, (Lesson((arch,), labels=1.0, dropout=self.dropout),))
        largest = Lesson((run.space.largest(),), labels=1.0, dropout=self.dropout)
        smallest = Lesson((run.space.smallest(),), in_place=1.0, divergence=self.divergence)
        return Plan(rate, (largest, smallest, *self.random_lessons(run, step)))

    def random_lessons(self, run: Run, step: int) -> tuple[Lesson, ...]:
        """What lies between the largest and the smallest network."""
        rng = step_rng(run, step)
        archs = [run.space.sample(rng) for _ in range(run.settings.random_subnets)]
        return tuple(Lesson((arch,), in_place=1.0, divergence=self.divergence) for arch in archs)
