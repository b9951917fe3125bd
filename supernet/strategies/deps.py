"""DεpS: the smaller networks join late, in a network whose channels lie in the order of their importance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from supernet.ranges import check_ranges
from supernet.schedule import learning_rate
from supernet.strategies.base import largest_alone, step_rng
from supernet.strategies.plan import Lesson, Plan, Run, SortChannels
from supernet.strategies.registry import register_strategy


@register_strategy("deps")
@dataclass(frozen=True)
class Deps:
    """DεpS (Annavajjala et al. 2024): full network alone, one channel re-ordering, small networks join gently.

    Attributes:
        start: share of all steps in which the full network trains alone.
        ramp_epochs: epochs until the small networks learn at the full rate. Until then their gradients are multiplied
            by β: a rate that rises linearly to what the schedule gives at the ramp's end, over the current rate.
        dropout: of the full network only.
    """

    start: float = 0.54
    ramp_epochs: float = 5.0
    dropout: float = 0.0
    uses: ClassVar[frozenset[str]] = frozenset({"random_subnets", "grow_resolution"})

    def __post_init__(self) -> None:
        """Check every range."""
        ranges = {"start": (0.0, 1.0), "ramp_epochs": (0.0, 1e6), "dropout": (0.0, 0.9)}
        check_ranges("train.options", vars(self), ranges)

    def plan(self, run: Run, step: int) -> Plan:
        """The full network from labels; the smallest and random ones from its outputs, once they have joined."""
        rate = learning_rate(run.settings, step, run.steps_per_epoch)
        joined = math.ceil(self.start * run.total_steps)
        if step < joined:
            return Plan(rate, (Lesson((largest_alone(run, step, joined),), labels=1.0, dropout=self.dropout),))
        rng, space = step_rng(run, step), run.space
        others = [space.smallest(), *(space.sample(rng) for _ in range(run.settings.random_subnets))]
        beta = self.beta(run, step - joined, joined)
        lessons = (
            Lesson((space.largest(),), labels=1.0, dropout=self.dropout),
            *(Lesson((arch,), in_place=beta) for arch in others),
        )
        return Plan(rate, lessons, events=(SortChannels(),) if step == joined else ())

    def beta(self, run: Run, since: int, joined: int) -> float:
        """Factor of the small networks' gradients, ``since`` steps after they joined."""
        ramp = min(round(self.ramp_epochs * run.steps_per_epoch), run.total_steps - joined)
        if since + 1 >= ramp:
            return 1.0
        final, current = (learning_rate(run.settings, joined + at, run.steps_per_epoch) for at in (ramp - 1, since))
        return final * (since + 1) / ramp / current
