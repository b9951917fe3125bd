"""Failing evaluators, results that cannot be compared, empty spaces, limits that cannot be kept."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from nas.errors import NasError
from nas.objective import Limit, Objective, Problem, Scores
from nas.search import Exploration, feasible_rows, get_searcher
from nas.search.resumable import ResumableSearcher
from nas.search.rows import Indices, row_keys
from search_spaces import Decision, SearchSpace


def scores_of(rows: Indices) -> Scores:
    latency = 1.0 + rows.sum(axis=1)
    return Scores(np.stack([-np.sqrt(latency) / 10, latency], axis=1), ((latency - 6) / 6)[:, None])


def explore(space: SearchSpace, problem: Problem, evaluate: object, name: str = "evolution") -> Exploration:
    searcher = get_searcher(name, space, problem.objectives, problem.limits, rng=np.random.default_rng(0))
    assert isinstance(searcher, ResumableSearcher)
    return Exploration(searcher, problem, evaluate)  # type: ignore[arg-type]


def test_everything_judged_is_kept_and_the_front_keeps_the_limits(space: SearchSpace, problem: Problem) -> None:
    exploration = explore(space, problem, scores_of)
    exploration.run(40, 7)
    assert len(set(row_keys(exploration.rows))) == len(exploration.rows) == 40
    rows, scores = exploration.front()
    assert (scores.costs[:, 1] <= 6).all()
    assert (scores_of(rows).costs == scores.costs).all()
    exploration.run(10_000, 50)
    assert len(exploration.rows) == space.size


@pytest.mark.parametrize("what", ["raises", "nan", "shape"])
def test_a_failing_evaluator_loses_nothing(space: SearchSpace, problem: Problem, what: str) -> None:
    calls = 0

    def flaky(rows: Indices) -> Scores:
        nonlocal calls
        calls += 1
        scores = scores_of(rows)
        if calls != 3:
            return scores
        if what == "raises":
            raise OSError("the device went away")
        if what == "shape":
            return Scores(scores.costs[:1], scores.margins)
        return Scores(np.full_like(scores.costs, np.nan), scores.margins)

    exploration = explore(space, problem, flaky)
    message = {
        "raises": "failed on 8 networks after 16 were judged: OSError: the device went away; what was judged before",
        "nan": "only finite numbers can be compared",
        "shape": "8 rows came with costs of shape",
    }[what]
    with pytest.raises(NasError, match=message):
        exploration.run(40, 8)
    assert len(exploration.rows) == 16
    exploration.run(24, 8)
    undisturbed = explore(space, problem, scores_of)
    undisturbed.run(40, 8)
    assert (exploration.rows == undisturbed.rows).all()


class Empty(SearchSpace):
    def __init__(self, *decisions: Decision) -> None:
        self._decisions = decisions

    @property
    def name(self) -> str:
        return "empty"

    @property
    def decisions(self) -> tuple[Decision, ...]:
        return self._decisions

    lower = None  # type: ignore[assignment]


def test_spaces_without_networks_or_choices_are_refused(problem: Problem) -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(NasError, match=r"space 'empty' is empty: decisions \['depth'\] have no options"):
        get_searcher("random", Empty(Decision("depth", ())), problem.objectives, rng=rng)
    with pytest.raises(NasError, match="has no decisions: there is nothing to search"):
        get_searcher("random", Empty(), problem.objectives, rng=rng)


def margins_of(*limits: Limit) -> object:
    def judge(rows: Indices) -> NDArray[np.float64]:
        latency_s, size = (14.1 + rows.sum(axis=1)) * 1e-3, 9e3 - 1e3 * rows.sum(axis=1)
        values = {"latency_s.toy": latency_s, "flash_bytes": size}
        return np.array([[limit.margin(float(v)) for v in values[limit.metric]] for limit in limits]).T

    return judge


def find(space: SearchSpace, *limits: Limit) -> Indices:
    problem = Problem((Objective("accuracy", "maximize"),), limits)
    rng = np.random.default_rng(0)
    return feasible_rows(space, problem, margins_of(*limits), rng, count=5, trials=200)  # type: ignore[arg-type]


def test_networks_that_keep_rare_limits_are_found(space: SearchSpace) -> None:
    rows = find(space, Limit("latency_s.toy", at_most=15.2e-3))
    assert 1 <= len(set(row_keys(rows))) == len(rows)
    assert (rows.sum(axis=1) <= 1).all()


def test_a_limit_that_cannot_be_kept_is_explained(space: SearchSpace) -> None:
    with pytest.raises(NasError, match=r"at most 12 ms, but the fastest network of this space is predicted at 14.1 ms"):
        find(space, Limit("latency_s.toy", at_most=12e-3))


def test_limits_that_cannot_be_kept_together_are_explained(space: SearchSpace) -> None:
    with pytest.raises(NasError, match=r"cannot be kept together: .* each alone can be"):
        find(space, Limit("latency_s.toy", at_most=15e-3), Limit("flash_bytes", at_most=5e3))
