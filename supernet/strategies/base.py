"""What a strategy is, and what several of them share."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Protocol

import numpy as np

from search_spaces import Architecture, SearchSpace
from supernet.errors import SupernetError
from supernet.strategies.plan import Plan, Run

SHARED_SETTINGS = ("random_subnets", "solo_share", "grow_resolution")
"""Fields of ``TrainSettings`` that only some strategies have a use for."""


class Strategy(Protocol):
    """How a supernet is trained: a frozen dataclass whose fields are the strategy's own options.

    Options out of their range are refused with a ``SupernetError`` when it is made.
    """

    uses: ClassVar[frozenset[str]]
    """Which of ``SHARED_SETTINGS`` have a meaning here."""

    def plan(self, run: Run, step: int) -> Plan:
        """What is done in a step: the same for the same arguments, in every process.

        Raises:
            SupernetError: the space lacks a decision that the settings need.
        """
        ...


def step_rng(run: Run, step: int) -> np.random.Generator:
    """Source of a step's sub-networks."""
    return np.random.default_rng((run.settings.seed, 2, step))


def largest_alone(run: Run, step: int, steps_alone: float) -> Architecture:
    """The largest network, on images that grow if the settings say so, while it trains alone.

    Raises:
        SupernetError: images are to grow in a space whose networks all see one size.
    """
    largest = run.space.largest()
    if not run.settings.grow_resolution:
        return largest
    position = resolution_position(run.space)
    if position is None:
        raise SupernetError(
            f"train.grow_resolution is true, but space {run.space.name!r} has no decision 'resolution'; set it to false"
        )
    # The lowest resolution first and the highest last, each for as many steps.
    options = len(run.space.decisions[position].options)
    return with_option(largest, position, int(step / steps_alone * options))


def resolution_position(space: SearchSpace) -> int | None:
    """Which decision is the size of the input, if one is."""
    return next((i for i, decision in enumerate(space.decisions) if decision.name == "resolution"), None)


def with_option(arch: Architecture, position: int, option: int) -> Architecture:
    """The same architecture but for one choice."""
    return replace(arch, choices=(*arch.choices[:position], option, *arch.choices[position + 1 :]))
