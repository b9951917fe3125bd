"""Sorting, crowding, hypervolume and fronts against brute force."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from nas.candidate import Candidate, Metric
from nas.errors import NasError
from nas.objective import Limit, Objective, Problem
from nas.pareto import ParetoFront, constrained_ranks, crowding_distance, hypervolume, non_dominated_sort
from search_spaces import Architecture

PROBLEM = Problem((Objective("accuracy", "maximize"), Objective("latency_s.phone", "minimize")))


def make_costs(objectives: st.SearchStrategy[int], size: int = 24) -> st.SearchStrategy[NDArray[np.float64]]:
    # Few different values, so that equal points and equal coordinates are common.
    return st.tuples(st.integers(0, size), objectives).flatmap(
        lambda shape: arrays(np.float64, shape, elements=st.integers(0, 6).map(float))
    )


def make_candidate(number: int, accuracy: float, latency_s: float) -> Candidate:
    metrics = {"accuracy": Metric(accuracy, "1", "evaluated"), "latency_s.phone": Metric(latency_s, "s", "predicted")}
    return Candidate(Architecture("toy", (number,)), metrics)


def brute_force_ranks(costs: NDArray[np.float64]) -> list[int]:
    left, ranks, rank = set(range(len(costs))), [0] * len(costs), 0
    while left:
        front = {i for i in left if not any((costs[j] <= costs[i]).all() and (costs[j] < costs[i]).any() for j in left)}
        for i in front:
            ranks[i] = rank
        left -= front
        rank += 1
    return ranks


@given(make_costs(st.integers(1, 5)))
def test_ranks_are_those_of_brute_force(costs: NDArray[np.float64]) -> None:
    assert non_dominated_sort(costs).tolist() == brute_force_ranks(costs)


@given(make_costs(st.integers(1, 3), size=12), st.integers(1, 7))
def test_hypervolume_counts_the_dominated_unit_cells(costs: NDArray[np.float64], corner: int) -> None:
    cells = itertools.product(range(corner), repeat=costs.shape[1])
    covered = sum(any((point <= cell).all() for point in costs) for cell in cells)
    assert hypervolume(costs, np.full(costs.shape[1], float(corner))) == pytest.approx(covered)


@given(make_costs(st.integers(1, 3)), st.randoms(use_true_random=False))
def test_order_of_points_does_not_matter(costs: NDArray[np.float64], random: object) -> None:
    order = np.array(random.sample(range(len(costs)), len(costs)), int)  # type: ignore[attr-defined]
    assert (non_dominated_sort(costs)[order] == non_dominated_sort(costs[order])).all()
    corner = np.full(costs.shape[1], 5.0)
    assert hypervolume(costs, corner) == pytest.approx(hypervolume(costs[order], corner))


def test_many_points_agree_with_the_pairwise_definition() -> None:
    costs = np.random.default_rng(0).random((400, 3))
    dominated = ((costs[:, None] <= costs[None]).all(-1) & (costs[:, None] < costs[None]).any(-1)).any(0)
    assert ((non_dominated_sort(costs) > 0) == dominated).all()


def test_crowding_follows_the_paper() -> None:
    # Deb et al.: sum of the neighbours' gaps over the range, infinite at the ends.
    costs = np.array([[0.0, 4.0], [1.0, 2.0], [3.0, 1.0], [4.0, 0.0]])
    expected = [np.inf, 3 / 4 + 3 / 4, 3 / 4 + 2 / 4, np.inf]
    assert crowding_distance(costs) == pytest.approx(expected)


def test_crowding_of_several_fronts_is_that_of_each_alone() -> None:
    costs = np.random.default_rng(1).random((60, 2))
    ranks = non_dominated_sort(costs)
    together = crowding_distance(costs, ranks)
    for rank in range(int(ranks.max()) + 1):
        assert together[ranks == rank] == pytest.approx(crowding_distance(costs[ranks == rank]))


def test_crowding_where_an_objective_never_varies_is_finite_inside() -> None:
    distance = crowding_distance(np.array([[0.0, 1.0], [1.0, 1.0], [2.0, 1.0]]))
    assert distance[1] == pytest.approx(1.0)


def test_feasible_points_come_first_then_the_smallest_violation() -> None:
    costs = np.array([[1.0, 1.0], [0.0, 0.0], [np.inf, 5.0], [2.0, 2.0]])
    assert constrained_ranks(costs, [0.0, 0.3, 0.1, 0.0]).tolist() == [0, 3, 2, 1]


def test_no_points() -> None:
    assert non_dominated_sort(np.empty((0, 2))).shape == (0,)
    assert crowding_distance(np.empty((0, 2))).shape == (0,)
    assert hypervolume(np.empty((0, 2)), [1.0, 1.0]) == 0.0
    assert len(ParetoFront.of([], PROBLEM)) == 0


def test_values_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(NasError, match=r"points \[1\] are NaN"):
        non_dominated_sort([[0.0, 1.0], [np.nan, 0.0]])
    with pytest.raises(NasError, match="finite costs"):
        crowding_distance([[np.inf, 0.0]])
    with pytest.raises(NasError, match="violation is NaN"):
        constrained_ranks([[0.0]], [np.nan])
    with pytest.raises(NasError, match="up to 3 objectives"):
        hypervolume(np.zeros((1, 4)), np.ones(4))
    with pytest.raises(NasError, match="does not fit"):
        hypervolume(np.zeros((1, 2)), np.ones(3))
    with pytest.raises(NasError, match=r"accuracy' of candidate .* is nan"):
        ParetoFront.of([make_candidate(0, float("nan"), 1.0)], PROBLEM)


def test_front_is_ordered_and_names_each_point_once() -> None:
    points = [(0.9, 0.03), (0.8, 0.02), (0.7, 0.025), (0.8, 0.02), (0.6, 0.01)]
    candidates = [make_candidate(i, *point) for i, point in enumerate(points)]
    front = ParetoFront.of(candidates, PROBLEM)
    assert [member.value("accuracy") for member in front] == [0.9, 0.8, 0.6]
    assert ParetoFront.of(candidates[::-1], PROBLEM) == front
    assert ParetoFront.from_json(json.loads(json.dumps(front.to_json()))) == front


def test_front_keeps_limits_and_measures_its_volume_in_the_metrics_units() -> None:
    problem = Problem(PROBLEM.objectives, (Limit("latency_s.phone", at_most=0.02),))
    candidates = [make_candidate(0, 0.9, 0.03), make_candidate(1, 0.8, 0.02)]
    front = ParetoFront.of(candidates, problem)
    assert list(front) == candidates[1:]
    assert front.hypervolume({"accuracy": 0.5, "latency_s.phone": 0.05}) == pytest.approx(0.3 * 0.03)
    with pytest.raises(NasError, match=r"lacks \['accuracy'\]"):
        front.hypervolume({"latency_s.phone": 0.05})
