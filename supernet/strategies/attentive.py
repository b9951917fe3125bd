"""AttentiveNAS: the sandwich rule whose middle networks are chosen for their promise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from search_spaces import Architecture, SearchSpace, macs
from supernet.errors import SupernetError
from supernet.ranges import check_ranges
from supernet.strategies.base import step_rng
from supernet.strategies.plan import Lesson, Run
from supernet.strategies.registry import register_strategy
from supernet.strategies.sandwich import Sandwich


@register_strategy("attentive")
@dataclass(frozen=True)
class Attentive(Sandwich):
    """AttentiveNAS (Wang et al. 2021): of candidates of like MACs, the most (BestUp) or least promising one is trained.

    Section 3.2 fixes a cost first and compares candidates of that cost. Here ``candidates * bins`` fresh architectures
    are drawn, put in order of their MACs and cut into ``bins`` groups; the candidates are one group. Their promise is
    the loss on the step's own images and labels.

    Attributes:
        dropout: of the largest network only.
        pick: ``best`` for BestUp, ``worst`` for WorstUp.
        candidates: how many are compared for each random sub-network (k in the paper).
        bins: groups of like MACs.
    """

    pick: str = "best"
    candidates: int = 3
    bins: int = 8

    def __post_init__(self) -> None:
        """Check every range."""
        super().__post_init__()
        check_ranges("train.options", vars(self), {"candidates": (1, 100), "bins": (1, 100)})
        if self.pick not in ("best", "worst"):
            raise SupernetError(f"train.options.pick is {self.pick!r}; allowed: 'best', 'worst'")

    def random_lessons(self, run: Run, step: int) -> tuple[Lesson, ...]:
        """A group of candidates of like MACs for each random sub-network."""
        rng = step_rng(run, step)
        groups = [self._candidates(run.space, rng) for _ in range(run.settings.random_subnets)]
        keep: Literal["lowest", "highest"] = "lowest" if self.pick == "best" else "highest"
        return tuple(Lesson(group, in_place=1.0, divergence=self.divergence, keep=keep) for group in groups)

    def _candidates(self, space: SearchSpace, rng: np.random.Generator) -> tuple[Architecture, ...]:
        drawn = space.architectures(space.sample_indices(rng, self.candidates * self.bins))
        drawn.sort(key=lambda arch: macs(space.lower(arch)))
        start = int(rng.integers(self.bins)) * self.candidates
        return tuple(drawn[start : start + self.candidates])
