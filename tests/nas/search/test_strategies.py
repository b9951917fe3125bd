"""What is each strategy's own, beyond the contract."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from nas.candidate import Candidate, Metric
from nas.errors import NasError
from nas.objective import Limit, Objective, Problem, Scores
from nas.pareto import ParetoFront
from nas.search import EvolutionSearcher, PolicyGradientSearcher, get_searcher
from nas.search.unseen import enumerate_space
from search_spaces import Architecture, SearchSpace

Judge = Callable[[Sequence[Architecture]], list[Candidate]]
CORNER = {"accuracy": 0.0, "latency_s.toy": 7.0}


def search(name: str, space: SearchSpace, problem: Problem, judge: Judge, evaluations: int) -> list[Candidate]:
    rng = np.random.default_rng(0)
    options: dict[str, Mapping[str, Any]] = {
        "evolution": {"population": 6},
        "model_assisted": {"first": 6},
        "ofa_evolution": {"population": 8, "parents": 0.5},
    }
    searcher = get_searcher(name, space, problem.objectives, problem.limits, rng=rng, options=options.get(name))
    told: list[Candidate] = []
    while len(told) < evaluations:
        told += judge(searcher.ask(2))
        searcher.tell(told[-2:])
    return told


@pytest.mark.parametrize("name", ["evolution", "model_assisted"])
def test_half_of_a_space_is_enough_to_find_its_front(
    name: str, space: SearchSpace, problem: Problem, judge: Judge
) -> None:
    best = ParetoFront.of(judge(space.architectures(enumerate_space(space))), problem)
    found = ParetoFront.of(search(name, space, problem, judge, space.size // 2), problem)
    assert found.hypervolume(CORNER) >= 0.95 * best.hypervolume(CORNER)


def test_once_for_all_s_evolution_finds_the_best_under_the_limit(
    space: SearchSpace, problem: Problem, judge: Judge
) -> None:
    best = ParetoFront.of(judge(space.architectures(enumerate_space(space))), problem).members[0]
    found = search("ofa_evolution", space, problem, judge, 3 * space.size // 4)
    assert ParetoFront.of(found, problem).members[0].value("accuracy") == best.value("accuracy")


def test_survivors_of_many_objectives_lie_far_apart(space: SearchSpace) -> None:
    metrics = ("macs", "parameters", "flash_bytes", "peak_activation_bytes")
    problem = Problem(tuple(Objective(metric, "minimize") for metric in metrics))
    searcher = EvolutionSearcher(space, problem, np.random.default_rng(0), population=4, most=12)
    rows = enumerate_space(space)
    costs = np.random.default_rng(1).dirichlet(np.ones(4), len(rows))  # every one on the front
    searcher.tell_rows(rows, Scores(costs, np.empty((len(rows), 0))))
    survivors = {tuple(row) for row in searcher._costs.tolist()}
    assert len(survivors) == 12
    assert {tuple(costs[at]) for at in costs.argmin(axis=0)} <= survivors


def test_a_policy_comes_to_prefer_what_is_rewarded(space: SearchSpace, problem: Problem) -> None:
    searcher = PolicyGradientSearcher(space, problem, np.random.default_rng(0))
    rows = enumerate_space(space)
    wide = rows[:, 4] == 3
    costs = np.stack([np.where(wide, -0.9, -0.3), np.full(len(rows), 2.0)], axis=1)
    scores = Scores(costs, np.full((len(rows), 1), -0.5))
    for _ in range(30):
        searcher._learn(rows, scores)
    chances = searcher._probabilities()[4]
    assert chances[3] > 0.6
    assert chances.sum() == pytest.approx(1)


def test_mnasnet_s_reward(space: SearchSpace, problem: Problem) -> None:
    searcher = PolicyGradientSearcher(space, problem, np.random.default_rng(0))
    costs = np.array([[-0.5, 6.0], [-0.5, 12.0], [np.inf, 20.0]])
    rewards = searcher._rewards(Scores(costs, np.array([[0.0], [1.0], [2.3]])))
    # T is the limit, 6 s; twice the latency costs about 5 % of the accuracy.
    assert rewards == pytest.approx([0.5, 0.5 * 2**-0.07, 0.0])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        *(("evolution", {"population": value}) for value in (3, 10.5, True)),
        *(("evolution", option) for option in ({"screened": 0}, {"moves": 0}, {"crossover_rate": 1.5})),
        *(("model_assisted", option) for option in ({"first": 2}, {"candidates": 0.5})),
        *(("regularized_evolution", option) for option in ({"population": 1}, {"tournament": 0})),
        *(("ofa_evolution", option) for option in ({"population": 2}, {"parents": 0.0}, {"mutation_rate": 2})),
        *(("policy_gradient", option) for option in ({"exponent": 1}, {"learning_rate": 0}, {"entropy": -1})),
    ],
)
def test_settings_out_of_range_are_refused(
    space: SearchSpace, problem: Problem, name: str, options: dict[str, object]
) -> None:
    with pytest.raises(NasError, match=rf"^{name}: |^search\.options\."):
        get_searcher(name, space, problem.objectives, rng=np.random.default_rng(0), options=options)


def test_one_objective_is_enough(space: SearchSpace) -> None:
    problem = Problem((Objective("accuracy", "maximize"),), (Limit("latency_s.toy", at_most=6.0),))

    def judge(archs: Sequence[Architecture]) -> list[Candidate]:
        return [
            Candidate(
                arch,
                {
                    "accuracy": Metric(sum(arch.choices) / 20, "1", "evaluated"),
                    "latency_s.toy": Metric(float(sum(arch.choices)), "s", "predicted"),
                },
            )
            for arch in archs
        ]

    for name in ("evolution", "model_assisted", "regularized_evolution", "ofa_evolution", "policy_gradient"):
        found = ParetoFront.of(search(name, space, problem, judge, 30), problem)
        assert found.members[0].value("accuracy") == pytest.approx(0.3), name
