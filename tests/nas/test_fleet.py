"""Fronts of several devices and of a fleet, against what they promise."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.candidate import Candidate, Metric, latency_metric
from nas.errors import NasError
from nas.fleet import FLEET, How, device_fronts, device_problem, fleet_front, fleet_latency, fleet_problem
from nas.objective import Limit, Objective, Problem
from nas.pareto import ParetoFront
from search_spaces import Architecture

TARGETS = ("phone", "board")
PROBLEM = Problem(
    (Objective("accuracy", "maximize"), *(Objective(latency_metric(target), "minimize") for target in TARGETS))
)
HOWS: tuple[How, ...] = ("worst", "mean")

tenths = st.integers(1, 9).map(lambda value: value / 10)
weights = st.fixed_dictionaries(dict.fromkeys(TARGETS, st.integers(1, 8).map(lambda value: value / 4)))


def candidate(number: int, values: tuple[float, float, float]) -> Candidate:
    accuracy, *latencies = values
    metrics = {"accuracy": Metric(accuracy, "1", "evaluated")}
    metrics |= {latency_metric(t): Metric(s, "s", "measured") for t, s in zip(TARGETS, latencies, strict=True)}
    return Candidate(Architecture("toy", (number,)), metrics)


populations = st.lists(st.tuples(tenths, tenths, tenths), min_size=1, max_size=12).map(
    lambda rows: [candidate(number, row) for number, row in enumerate(rows)]
)


def costs(front: ParetoFront) -> set[tuple[float, ...]]:
    return {tuple(row) for row in front.problem.scores(front.members).costs.tolist()}


@settings(max_examples=60, deadline=None)
@given(populations, weights, st.sampled_from(HOWS))
def test_no_candidate_beats_a_member_and_every_other_is_beaten(
    population: list[Candidate], weight: dict[str, float], how: How
) -> None:
    front = fleet_front(population, PROBLEM, weight, how)
    points = costs(front)

    def point(one: Candidate) -> tuple[float, float]:
        latencies = {target: one.value(latency_metric(target)) for target in TARGETS}
        return -one.value("accuracy"), fleet_latency(latencies, weight, how)

    for one in population:
        x, y = point(one)
        assert any(a <= x and b <= y for a, b in points)
        assert not any(x <= a and y <= b and (x, y) != (a, b) for a, b in points)


@settings(max_examples=60, deadline=None)
@given(populations, weights)
def test_a_network_best_on_average_is_on_the_front_of_all_objectives(
    population: list[Candidate], weight: dict[str, float]
) -> None:
    whole = costs(ParetoFront.of(population, PROBLEM))
    for member in fleet_front(population, PROBLEM, weight, "mean"):
        assert tuple(PROBLEM.scores([member]).costs[0].tolist()) in whole


@settings(max_examples=40, deadline=None)
@given(populations, st.sampled_from(HOWS))
def test_a_fleet_of_one_device_has_that_devices_front(population: list[Candidate], how: How) -> None:
    alone = device_problem(PROBLEM, "phone")
    fleet = fleet_front(population, alone, {"phone": 1.0}, how)
    assert costs(fleet) == costs(device_fronts(population, PROBLEM, TARGETS)["phone"])


@settings(max_examples=40, deadline=None)
@given(populations, tenths, weights, st.sampled_from(HOWS))
def test_limits_hold_on_every_device(
    population: list[Candidate], most: float, weight: dict[str, float], how: How
) -> None:
    limits = tuple(Limit(latency_metric(target), at_most=most) for target in TARGETS)
    limited = Problem(PROBLEM.objectives, limits)
    for member in fleet_front(population, limited, weight, how):
        assert all(member.value(latency_metric(target)) <= most for target in TARGETS)
    for target, front in device_fronts(population, limited, TARGETS).items():
        assert all(member.value(latency_metric(target)) <= most for member in front)


@settings(max_examples=40, deadline=None)
@given(populations, weights, st.sampled_from(HOWS), st.randoms(use_true_random=False))
def test_order_does_not_matter(population: list[Candidate], weight: dict[str, float], how: How, chance: object) -> None:
    shuffled = list(population)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert fleet_front(shuffled, PROBLEM, weight, how) == fleet_front(population, PROBLEM, weight, how)


def test_the_fleets_latency_is_what_it_says() -> None:
    latencies = {"phone": 0.010, "board": 0.300}
    assert fleet_latency(latencies, {"phone": 1, "board": 1}, "worst") == 0.300
    assert fleet_latency(latencies, {"phone": 1 / 0.005, "board": 1 / 0.5}, "worst") == pytest.approx(2.0)
    assert fleet_latency(latencies, {"phone": 9, "board": 1}, "mean") == pytest.approx(0.039)


def test_members_carry_the_fleets_latency_with_the_least_certain_source() -> None:
    measured = candidate(0, (0.5, 0.1, 0.2))
    guessed = {**measured.metrics, latency_metric("board"): Metric(0.2, "s", "predicted")}
    for metrics, source in ((measured.metrics, "measured"), (guessed, "predicted")):
        front = fleet_front([Candidate(measured.arch, metrics)], PROBLEM, dict.fromkeys(TARGETS, 1.0))
        assert front.members[0].metrics[latency_metric(FLEET)] == Metric(0.2, "s", source)  # type: ignore[arg-type]
    assert [objective.metric for objective in fleet_problem(PROBLEM).objectives] == ["accuracy", "latency_s.fleet"]


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        ({}, "needs at least one target"),
        ({"phone": 0.0}, r"'phone' is 0\.0; give a positive number"),
        ({"phone": float("nan")}, "'phone' is nan"),
        ({"watch": 1.0}, "no metric 'latency_s.watch'"),
    ],
)
def test_weights_that_make_no_fleet_are_refused(weight: dict[str, float], message: str) -> None:
    with pytest.raises(NasError, match=message):
        fleet_front([candidate(0, (0.5, 0.1, 0.2))], PROBLEM, weight)


def test_a_latency_that_is_missing_is_named() -> None:
    with pytest.raises(NasError, match=r"no latency on target 'board'; there are \['phone'\]"):
        fleet_latency({"phone": 1.0}, {"board": 1.0}, "mean")
