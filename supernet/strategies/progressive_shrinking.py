"""Once-for-all's progressive shrinking: kernels, then depths, then widths become elastic, under a frozen teacher."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from search_spaces import Architecture, Decision, SearchSpace
from supernet.ranges import check_ranges
from supernet.schedule import warm_cosine
from supernet.strategies.base import resolution_position, step_rng, with_option
from supernet.strategies.plan import Event, FreezeTeacher, Lesson, Plan, Run, SortChannels
from supernet.strategies.registry import register_strategy


@dataclass(frozen=True, slots=True)
class _Phase:
    """Epochs and learning rate as once-for-all's own recipe has them; both are scaled to the run.

    Attributes:
        kind: of the decisions that become elastic; all of earlier phases stay so.
        options: how many options these have, counted from the largest; None: all.
        epochs: its length.
        warmup: how many of them warm up.
        rate: learning rate at its peak.
        subnets: sub-networks a step.
    """

    kind: str
    options: int | None
    epochs: float
    warmup: float
    rate: float
    subnets: int


_FULL_EPOCHS, _FULL_WARMUP, _FULL_RATE = 180.0, 5.0, 8e-2
_SHRINKING = (
    _Phase("kernel", None, 125, 5, 3e-2, 1),
    _Phase("depth", 2, 25, 0, 2.5e-3, 2),
    _Phase("depth", None, 125, 5, 7.5e-3, 2),
    _Phase("width", 2, 25, 0, 2.5e-3, 4),
    _Phase("width", None, 125, 5, 7.5e-3, 4),
)


@register_strategy("progressive_shrinking")
@dataclass(frozen=True)
class ProgressiveShrinking:
    """Once-for-all (Cai et al. 2020, section 3.3 and appendix B): full network, then elastic kernel, depth, width.

    ``train.epochs`` is the length of all phases together and ``train.learning_rate`` the peak of the full network's;
    the other phases keep their proportions to these. A phase that the space has no decision for is left out. Decisions
    that are neither ``kernel``, ``depth`` nor ``resolution`` become elastic in the width phases, before each of which
    the channels are sorted. The resolution is drawn anew at every step, and all networks of a step share it.

    Attributes:
        distillation: weight of the frozen full network's outputs, that of the labels being 1; the sum is scaled to 2.
        dropout: of every network, as in the paper.
    """

    distillation: float = 1.0
    dropout: float = 0.1
    uses: ClassVar[frozenset[str]] = frozenset()

    def __post_init__(self) -> None:
        """Check every range."""
        check_ranges("train.options", vars(self), {"distillation": (0.0, 1e3), "dropout": (0.0, 0.9)})

    def plan(self, run: Run, step: int) -> Plan:
        """Sub-networks of the phase that the step lies in."""
        rng = step_rng(run, step)
        full = _full(run.space, rng)
        shrinking = [phase for phase in _SHRINKING if _elastic(run.space, phase)]
        lengths = [_FULL_EPOCHS, *(phase.epochs for phase in shrinking)]
        ends = [round(float(end)) for end in np.cumsum(lengths) / sum(lengths) * run.total_steps]
        current = sum(step >= end for end in ends)
        begin = ends[current - 1] if current else 0
        phase = shrinking[current - 1] if current else None

        epochs, warmup, rate = (
            (phase.epochs, phase.warmup, phase.rate) if phase else (_FULL_EPOCHS, _FULL_WARMUP, _FULL_RATE)
        )
        length = ends[current] - begin
        peak = run.settings.learning_rate * rate / _FULL_RATE
        learning_rate = warm_cosine(peak, step - begin, round(warmup / epochs * length), length)
        if phase is None:
            return Plan(learning_rate, (Lesson((full,), labels=1.0, dropout=self.dropout),))

        known = shrinking[:current]
        archs = [_sample(run.space, full, known, rng) for _ in range(phase.subnets)]
        labels = 2 / (1 + self.distillation)
        lessons = tuple(
            Lesson((arch,), labels=labels, teacher=labels * self.distillation, dropout=self.dropout) for arch in archs
        )
        # In a very short run several phases may begin with one step.
        beginning = sum(end < begin for end in ends)
        events = tuple(_events(run.space, known[:beginning], known[beginning:])) if step == begin else ()
        return Plan(learning_rate, lessons, full if self.distillation > 0 else None, events)


def _full(space: SearchSpace, rng: np.random.Generator) -> Architecture:
    """The largest network at a resolution drawn at random."""
    position = resolution_position(space)
    if position is None:
        return space.largest()
    return with_option(space.largest(), position, int(rng.integers(space.option_counts[position])))


def _events(space: SearchSpace, passed: list[_Phase], beginning: list[_Phase]) -> Iterator[Event]:
    if not passed:
        yield FreezeTeacher()
    if any(phase.kind == "width" for phase in beginning):
        largest = space.largest()
        trained = [options for phase in passed if phase.kind == "width" for options in _elastic(space, phase)]
        narrower = [(at, option) for at, options in trained for option in options if option != largest.choices[at]]
        yield SortChannels(tuple(space.canonical(with_option(largest, at, option)) for at, option in narrower))


def _elastic(space: SearchSpace, phase: _Phase) -> list[tuple[int, range]]:
    """Positions of the decisions that a phase makes elastic, and the options they get."""
    found = []
    for position, decision in enumerate(space.decisions):
        count = len(decision.options)
        options = range(max(0, count - phase.options) if phase.options else 0, count)
        if _kind(decision) == phase.kind and len(options) > 1:
            found.append((position, options))
    return found


def _kind(decision: Decision) -> str:
    last = decision.name.rpartition(".")[2]
    return last if last in ("kernel", "depth", "resolution") else "width"


def _sample(space: SearchSpace, full: Architecture, phases: list[_Phase], rng: np.random.Generator) -> Architecture:
    choices = list(full.choices)
    # Later phases come later in the list: their wider ranges take the place of earlier ones.
    ranges = {position: options for phase in phases for position, options in _elastic(space, phase)}
    for position, options in ranges.items():
        choices[position] = int(rng.choice(options))
    return space.canonical(Architecture(space.name, tuple(choices)))
