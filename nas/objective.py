"""What a search is for: objectives to trade off, and hard limits that a network must keep."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nas.candidate import Candidate, describe_value, metric_unit
from nas.errors import NasError

Direction: TypeAlias = Literal["maximize", "minimize"]


@dataclass(frozen=True, slots=True)
class Objective:
    """A metric to be made as large or as small as possible.

    Attributes:
        metric: ``accuracy``, ``macs``, ``parameters``, ``flash_bytes``, ``peak_activation_bytes`` or
            ``latency_s.<target>``.
        direction: which way is better.
    """

    metric: str
    direction: Direction

    def __post_init__(self) -> None:
        """Check metric and direction."""
        metric_unit(self.metric)
        if self.direction not in ("maximize", "minimize"):
            raise NasError(f"objective {self.metric!r}: direction is {self.direction!r}; use 'maximize' or 'minimize'")

    @property
    def sign(self) -> float:
        """What a value is multiplied by to become a cost, of which less is better."""
        return -1.0 if self.direction == "maximize" else 1.0


@dataclass(frozen=True, slots=True)
class Limit:
    """A hard limit on a metric, in the metric's unit; at least one of the two ends is given.

    Attributes:
        metric: as in an objective.
        at_most: the largest value allowed; seconds for a latency.
        at_least: the smallest value allowed; 0 to 1 for accuracy.
    """

    metric: str
    at_most: float | None = None
    at_least: float | None = None

    def __post_init__(self) -> None:
        """Check that the limit can be kept at all."""
        metric_unit(self.metric)
        ends = [end for end in (self.at_most, self.at_least) if end is not None]
        if not ends or not all(map(math.isfinite, ends)):
            raise NasError(f"limit on {self.metric!r}: give a finite at_most, a finite at_least, or both; got {self}")
        if len(ends) == 2 and self.at_most is not None and self.at_least is not None and self.at_most < self.at_least:
            raise NasError(f"limit on {self.metric!r}: at_least {self.at_least} is above at_most {self.at_most}")

    def margin(self, value: float) -> float:
        """How far a value is beyond the limit, as a share of the limit: above 0 where broken, below where kept."""
        margins = []
        if self.at_most is not None:
            margins.append((value - self.at_most) / (abs(self.at_most) or 1.0))
        if self.at_least is not None:
            margins.append((self.at_least - value) / (abs(self.at_least) or 1.0))
        return max(margins)

    def violation(self, candidate: Candidate) -> float:
        """Share of the limit by which a candidate breaks it, 0 where it keeps it.

        Raises:
            NasError: the candidate lacks the metric, or it is not a number.
        """
        return max(0.0, self.margin(_number(candidate, self.metric)))

    def describe(self) -> str:
        """The limit as people write it, such as ``latency_s.phone at most 20 ms``."""
        ends = (("at most", self.at_most), ("at least", self.at_least))
        told = [f"{words} {describe_value(self.metric, end)}" for words, end in ends if end is not None]
        return f"{self.metric} {' and '.join(told)}"


@dataclass(frozen=True, slots=True)
class Scores:
    """What searchers and fronts compare, for a number of candidates.

    Attributes:
        costs: objectives turned so that less is better, shape ``(candidates, objectives)``; infinite where a candidate
            that breaks a limit lacks the metric.
        margins: how far beyond each limit, shape ``(candidates, limits)``; above 0 where the limit is broken, and 0
            where a candidate that breaks another one lacks the metric.
    """

    costs: NDArray[np.float64]
    margins: NDArray[np.float64]

    @property
    def violations(self) -> NDArray[np.float64]:
        """Sum of the shares by which limits are broken, shape ``(candidates,)``; 0 for a feasible candidate."""
        total: NDArray[np.float64] = np.maximum(self.margins, 0.0).sum(axis=1)
        return total


@dataclass(frozen=True, slots=True)
class Problem:
    """Objectives and hard limits of one search."""

    objectives: tuple[Objective, ...]
    limits: tuple[Limit, ...] = ()

    def __post_init__(self) -> None:
        """Check that there is something to search for."""
        object.__setattr__(self, "objectives", tuple(self.objectives))
        object.__setattr__(self, "limits", tuple(self.limits))
        names = [objective.metric for objective in self.objectives]
        if not names or len(set(names)) != len(names):
            raise NasError(f"objectives are {names}; give at least one, and each metric once")

    def scores(self, candidates: Sequence[Candidate]) -> Scores:
        """Costs and margins of candidates.

        Raises:
            NasError: a metric is NaN or infinite; or a metric that is needed is missing though no limit is broken.
        """
        margins = np.zeros((len(candidates), len(self.limits)))
        costs = np.full((len(candidates), len(self.objectives)), np.inf)
        for row, candidate in enumerate(candidates):
            for column, limit in enumerate(self.limits):
                if limit.metric in candidate.metrics:
                    margins[row, column] = limit.margin(_number(candidate, limit.metric))
            broken = bool((margins[row] > 0).any())
            if not broken:
                for limit in self.limits:
                    candidate.value(limit.metric)
            for column, objective in enumerate(self.objectives):
                if objective.metric in candidate.metrics or not broken:
                    costs[row, column] = objective.sign * _number(candidate, objective.metric)
        return Scores(costs, margins)

    def feasible(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Those that keep every limit, in the order given."""
        return [c for c, bad in zip(candidates, self.scores(candidates).violations, strict=True) if bad == 0]

    def to_json(self) -> dict[str, Any]:
        """Values that ``json`` writes."""
        return {
            "objectives": [{"metric": o.metric, "direction": o.direction} for o in self.objectives],
            "limits": [{"metric": x.metric, "at_most": x.at_most, "at_least": x.at_least} for x in self.limits],
        }

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Problem:
        """Read what ``to_json`` made.

        Raises:
            NasError: a key is missing or unknown, or a value is not allowed.
        """
        try:
            objectives = tuple(Objective(**objective) for objective in row["objectives"])
            return cls(objectives, tuple(Limit(**limit) for limit in row["limits"]))
        except (KeyError, TypeError) as error:
            raise NasError(f"{row!r} is no search problem: {error!r}; it needs objectives and limits") from error


def explain_infeasible(candidates: Sequence[Candidate], problem: Problem) -> str:
    """Why no candidate keeps every limit, in one sentence: what the one that comes nearest breaks."""
    limits = "; ".join(limit.describe() for limit in problem.limits)
    if not candidates:
        return f"no network was evaluated (limits: {limits or 'none'}); raise the number of evaluations"
    scores = problem.scores(candidates)
    nearest = int(np.argmin(scores.violations))
    broken = [
        f"{describe_value(limit.metric, candidates[nearest].value(limit.metric))} where the limit is {limit.describe()}"
        for limit, margin in zip(problem.limits, scores.margins[nearest], strict=True)
        if margin > 0
    ]
    return (
        f"none of {len(candidates)} networks keeps every limit ({limits}); "
        f"the nearest, {candidates[nearest].arch.key}, has {'; '.join(broken)}: "
        "loosen the limits, raise the number of evaluations, or choose a smaller space"
    )


def _number(candidate: Candidate, metric: str) -> float:
    value = candidate.value(metric)
    if not math.isfinite(value):
        raise NasError(
            f"metric {metric!r} of candidate {candidate.arch.key} is {value}; only finite numbers can be compared: "
            "check the evaluator or predictor that gave it"
        )
    return value
