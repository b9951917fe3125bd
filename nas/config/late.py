"""Sections of a config that tell what becomes of the networks that a search finds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from nas.config.section import Section
from nas.errors import NasError
from nas.fleet import FLEET, How, device_problem
from nas.objective import Problem
from search_spaces.nearest import nearest


class ConfirmSection(Section):
    """How the searched front is measured, and what is done where measurements contradict what was predicted.

    Attributes:
        members: how many members of the front are built, measured and judged as files at once, evenly spread over it;
            all if left out.
        rounds: how many times, at most, the predictors are fitted again with what was measured, the search goes on and
            what it finds is measured too; 0 to leave it at the first. Where predictions hold there is no second.
        evaluations: candidates that each of these rounds judges.
    """

    members: int | None = Field(None, ge=1)
    rounds: int = Field(2, ge=0, le=20)
    evaluations: int = Field(50, ge=1)


class FleetSection(Section):
    """One network for all targets: its latency is one figure, and its front is searched and measured as well.

    With this section, networks count that are good on one target alone, whatever the limits on the others.

    Attributes:
        how: ``worst``: the largest weighted latency; ``mean``: the weighted mean.
        weights: by target; those left out are no part of the fleet. 1 for each if none are given. ``worst``: what a
            second there counts for; ``mean``: the target's share.
    """

    how: How = "worst"
    weights: dict[str, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)


class ExportSection(Section):
    """Which networks become folders that are ready to ship.

    Attributes:
        count: how many members of the confirmed front; evenly spread over it. All if left out.
    """

    count: int | None = Field(None, ge=1)


def check_fleet(fleet: FleetSection, targets: Sequence[str], problem: Problem) -> None:
    """Check that a fleet is one of a run's targets.

    Raises:
        ValueError: too few targets, a name that is not among them or has another meaning, or nothing to improve.
    """
    if len(targets) < 2:
        raise ValueError("a fleet is of several targets; give another target, or leave fleet out")
    if FLEET in targets:
        raise ValueError(f"a target is named {FLEET!r}, as the fleet is in metrics; give it another name")
    for name in fleet.weights:
        if name not in targets:
            raise ValueError(f"fleet.weights: there is no target {name!r}{nearest(name, list(targets))}")
    for name in targets:
        try:
            device_problem(problem, name)
        except NasError as error:
            raise ValueError(f"fleet: target {name!r} alone leaves nothing to improve: {error}") from error
