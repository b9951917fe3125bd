"""The fronts that a run is for: of all its targets together, of each alone, and of single networks for a fleet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from nas.candidate import Candidate
from nas.config import Config
from nas.errors import NasError
from nas.fleet import FLEET, How, device_problem, fleet_problem, with_fleet
from nas.objective import Problem
from nas.pareto import ParetoFront

ALL: Final = "all"
"""Name of the front of all targets; the others have the targets' names, and ``fleet``."""


@dataclass(frozen=True)
class View:
    """How one front looks at candidates.

    Attributes:
        name: of the front.
        base: objectives and limits, in metrics that candidates have.
        weights: of the fleet's targets, where one latency over the fleet takes the place of all.
        how: how that is made.
    """

    name: str
    base: Problem
    weights: Mapping[str, float] = field(default_factory=dict)
    how: How = "worst"

    @property
    def problem(self) -> Problem:
        """What the front trades off."""
        return fleet_problem(self.base) if self.weights else self.base

    def seen(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Those that keep the limits, with the metrics that count here."""
        kept = self.base.feasible(candidates)
        return [with_fleet(candidate, self.weights, self.how) for candidate in kept] if self.weights else kept

    def front(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Those that no other beats here, as they were given, best in the first objective first."""
        given = {candidate.arch.key: candidate for candidate in candidates}
        return [given[member.arch.key] for member in ParetoFront.of(self.seen(candidates), self.problem)]


def searched_views(config: Config, problem: Problem) -> list[View]:
    """Fronts whose members are measured: of all targets; in a run for a fleet those of each target and of the fleet.

    Args:
        config: of the run.
        problem: of all targets.
    """
    return [View(ALL, problem), *(shared_views(config, problem) if config.fleet else ())]


def shared_views(config: Config, problem: Problem) -> list[View]:
    """The front of each target of several, and that of the fleet where the run is for one."""
    names = [target.name for target in config.targets]
    views = []
    for name in names if len(names) > 1 else ():
        try:
            views.append(View(name, device_problem(problem, name)))
        except NasError:  # what is to be improved is the latency on others alone
            continue
    if config.fleet is not None:
        views.append(View(FLEET, problem, config.fleet_weights, config.fleet.how))
    return views


def united(parts: Iterable[Sequence[Candidate]]) -> list[Candidate]:
    """Every candidate once, in order."""
    return list({candidate.arch.key: candidate for part in parts for candidate in part}.values())
