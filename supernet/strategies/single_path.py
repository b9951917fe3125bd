"""Plain uniform sampling of one path a step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from supernet.schedule import learning_rate
from supernet.strategies.base import step_rng
from supernet.strategies.plan import Lesson, Plan, Run
from supernet.strategies.registry import register_strategy


@register_strategy("single_path")
@dataclass(frozen=True)
class SinglePath:
    """Single path one-shot (Guo et al. 2020, section 3.2): one uniformly drawn sub-network a step, from labels."""

    uses: ClassVar[frozenset[str]] = frozenset()

    def plan(self, run: Run, step: int) -> Plan:
        """One sub-network."""
        rate = learning_rate(run.settings, step, run.steps_per_epoch)
        return Plan(rate, (Lesson((run.space.sample(step_rng(run, step)),), labels=1.0),))
