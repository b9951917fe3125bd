"""Several devices at once: a front for each device, and a front of networks that serve the whole fleet.

One network on all devices costs what it costs where it is slowest, or on average over the devices that are out there.
Its limits hold on every device.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, Literal, TypeAlias

from nas.candidate import LATENCY, Candidate, Metric, Source, latency_metric
from nas.errors import NasError
from nas.objective import Objective, Problem
from nas.pareto import ParetoFront

How: TypeAlias = Literal["worst", "mean"]

FLEET: Final = "fleet"
"""Name of the fleet where a target's name stands in metrics: ``latency_s.fleet``."""


def device_problem(problem: Problem, target: str) -> Problem:
    """The problem as one device alone poses it: other devices' latencies are no objectives and no limits.

    Raises:
        NasError: nothing is left to improve.
    """

    def concerns(metric: str) -> bool:
        return metric == latency_metric(target) or not metric.startswith(f"{LATENCY}.")

    objectives = tuple(objective for objective in problem.objectives if concerns(objective.metric))
    return Problem(objectives, tuple(limit for limit in problem.limits if concerns(limit.metric)))


def device_fronts(candidates: Sequence[Candidate], problem: Problem, targets: Sequence[str]) -> dict[str, ParetoFront]:
    """The front of every device, by the target's name.

    Raises:
        NasError: as ``ParetoFront.of``.
    """
    return {target: ParetoFront.of(candidates, device_problem(problem, target)) for target in targets}


def fleet_problem(problem: Problem) -> Problem:
    """The problem with one latency, the fleet's, in the place of all; every limit stays."""
    others = tuple(o for o in problem.objectives if not o.metric.startswith(f"{LATENCY}."))
    return replace(problem, objectives=(*others, Objective(latency_metric(FLEET), "minimize")))


def fleet_latency(latencies_s: Mapping[str, float], weights: Mapping[str, float], how: How) -> float:
    """Latency of one network over a fleet, in seconds.

    Args:
        latencies_s: by target.
        weights: of every target. ``worst``: what its seconds count for, such as 1 over the device's own limit to
            compare a phone with a microcontroller; ``mean``: its share of the fleet, in any unit.
        how: ``worst`` is the largest weighted latency, ``mean`` the weighted mean.

    Raises:
        NasError: no targets, a target without a latency, or a weight that is not a positive number.
    """
    if not weights:
        raise NasError("a fleet needs at least one target; give the weight of each")
    for target, weight in weights.items():
        if not (math.isfinite(weight) and weight > 0):
            raise NasError(
                f"the weight of target {target!r} is {weight}; give a positive number, or leave the target out"
            )
        if target not in latencies_s:
            raise NasError(f"there is no latency on target {target!r}; there are {sorted(latencies_s)}")
    weighted = [weight * latencies_s[target] for target, weight in weights.items()]
    if how == "worst":
        return max(weighted)
    return math.fsum(weighted) / math.fsum(weights.values())


def fleet_front(
    candidates: Sequence[Candidate], problem: Problem, weights: Mapping[str, float], how: How = "worst"
) -> ParetoFront:
    """The front of single networks for all devices; members carry their ``latency_s.fleet``.

    Candidates that lack a latency on some device are left out where they break a limit, and refused where they do not.

    Args:
        candidates: to choose from.
        problem: objectives and limits; its latencies are replaced by the fleet's.
        weights: by target; see ``fleet_latency``.
        how: see ``fleet_latency``.

    Raises:
        NasError: as ``fleet_latency`` and ``ParetoFront.of``.
    """
    kept = problem.feasible(candidates)
    return ParetoFront.of([with_fleet(candidate, weights, how) for candidate in kept], fleet_problem(problem))


def with_fleet(candidate: Candidate, weights: Mapping[str, float], how: How) -> Candidate:
    """The candidate with its ``latency_s.fleet``.

    Raises:
        NasError: as ``fleet_latency``.
    """
    names = {target: latency_metric(target) for target in weights}
    known = {target: candidate.value(name) for target, name in names.items()}
    sources = {candidate.metrics[name].source for name in names.values()}
    # A figure made of several is as good as the least certain of them.
    source: Source = "predicted" if "predicted" in sources else "measured"
    metric = Metric(fleet_latency(known, weights, how), "s", source)
    return Candidate(candidate.arch, {**candidate.metrics, latency_metric(FLEET): metric})
