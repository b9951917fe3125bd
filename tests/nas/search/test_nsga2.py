"""What is NSGA-II's own, beyond the contract."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from nas.candidate import Candidate
from nas.errors import NasError
from nas.objective import Problem
from nas.pareto import ParetoFront
from nas.search import Nsga2Searcher
from nas.search.unseen import enumerate_space
from search_spaces import Architecture, SearchSpace, get_space

Judge = Callable[[Sequence[Architecture]], list[Candidate]]


def test_first_population_has_the_smallest_and_the_largest(space: SearchSpace, problem: Problem) -> None:
    searcher = Nsga2Searcher(space, problem, np.random.default_rng(0), population=8)
    asked = [arch for _ in range(4) for arch in searcher.ask(2)]
    assert asked[:2] == [space.smallest(), space.canonical(space.largest())]
    assert len(set(asked)) == 8


def test_half_of_a_space_is_enough_to_find_its_front(space: SearchSpace, problem: Problem, judge: Judge) -> None:
    every = judge(space.architectures(enumerate_space(space)))
    best = ParetoFront.of(every, problem)
    searcher = Nsga2Searcher(space, problem, np.random.default_rng(0), population=6)
    told: list[Candidate] = []
    while len(told) < space.size // 2:
        told += judge(searcher.ask(2))
        searcher.tell(told[-2:])
    corner = {"accuracy": 0.0, "latency_s.toy": 7.0}
    assert ParetoFront.of(told, problem).hypervolume(corner) >= 0.95 * best.hypervolume(corner)


def test_survivors_are_the_best_of_everything_told(space: SearchSpace, problem: Problem, judge: Judge) -> None:
    every = judge(space.architectures(enumerate_space(space)))
    searcher = Nsga2Searcher(space, problem, np.random.default_rng(0), population=20)
    for start in range(0, len(every), 5):
        searcher.tell(every[start : start + 5])
    best = ParetoFront.of(every, problem)
    survivors = {tuple(row) for row in searcher._rows.tolist()}
    costs = {tuple(row) for row in searcher._costs.tolist()}
    assert len(survivors) == 20
    assert {tuple(row) for row in problem.scores(best.members).costs.tolist()} <= costs


def test_caller_s_generator_is_not_turned_back(problem: Problem) -> None:
    space, rng = get_space("mobilenetv3_32"), np.random.default_rng(0)
    searcher = Nsga2Searcher(space, problem, rng)
    state, here = searcher.state(), rng.bit_generator.state
    searcher.ask(10)
    searcher.restore(state)
    assert rng.bit_generator.state == here


@pytest.mark.parametrize(
    "options",
    [
        *({"population": value} for value in (3, 10.5, float("nan"), True, 10**9)),
        *({"crossover_rate": value} for value in (1.5, float("nan"), True)),
        *({"mutation_rate": value} for value in (0.0, float("nan"), True)),
    ],
)
def test_settings_out_of_range_are_refused(space: SearchSpace, problem: Problem, options: dict[str, float]) -> None:
    with pytest.raises(NasError, match="nsga2: "):
        Nsga2Searcher(space, problem, np.random.default_rng(0), **options)  # type: ignore[arg-type]
