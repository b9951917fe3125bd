"""Objectives, limits, and what they make of candidates."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from nas.candidate import Candidate, Metric
from nas.errors import NasError
from nas.objective import Limit, Objective, Problem, explain_infeasible
from search_spaces import Architecture

ACCURACY, LATENCY = Objective("accuracy", "maximize"), Objective("latency_s.a", "minimize")
PROBLEM = Problem((ACCURACY, LATENCY), (Limit("latency_s.a", at_most=0.02), Limit("accuracy", at_least=0.5)))


def make_candidate(number: int = 0, **metrics: float) -> Candidate:
    named = {name.replace("__", "."): Metric(value, "?", "predicted") for name, value in metrics.items()}
    return Candidate(Architecture("toy", (number,)), named)


def test_margin_is_a_share_of_the_limit() -> None:
    assert Limit("latency_s.a", at_most=0.02).margin(0.03) == pytest.approx(0.5)
    assert Limit("latency_s.a", at_most=0.02).margin(0.01) == pytest.approx(-0.5)
    assert Limit("accuracy", at_least=0.8).margin(0.6) == pytest.approx(0.25)
    assert Limit("macs", at_most=0.0).margin(3.0) == 3.0
    both = Limit("macs", at_most=10.0, at_least=5.0)
    assert both.margin(7.0) < 0 < both.margin(11.0)


def test_violation_is_zero_where_the_limit_is_kept() -> None:
    limit = Limit("latency_s.a", at_most=0.02)
    assert limit.violation(make_candidate(latency_s__a=0.02)) == 0
    assert limit.violation(make_candidate(latency_s__a=0.03)) == pytest.approx(0.5)


def test_candidate_that_breaks_a_limit_may_lack_other_metrics() -> None:
    scores = PROBLEM.scores([make_candidate(latency_s__a=0.03), make_candidate(latency_s__a=0.01, accuracy=0.7)])
    assert scores.costs.tolist() == [[np.inf, 0.03], [-0.7, 0.01]]
    assert scores.violations == pytest.approx([0.5, 0.0])
    assert scores.margins[0] == pytest.approx([0.5, 0.0])


def test_candidate_that_keeps_the_limits_may_not() -> None:
    with pytest.raises(NasError, match="no metric 'accuracy'"):
        PROBLEM.scores([make_candidate(latency_s__a=0.01)])


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_only_finite_numbers_are_compared(value: float) -> None:
    with pytest.raises(NasError, match="only finite numbers can be compared"):
        PROBLEM.scores([make_candidate(latency_s__a=value, accuracy=0.7)])
    with pytest.raises(NasError, match="only finite numbers can be compared"):
        PROBLEM.scores([make_candidate(latency_s__a=0.01, accuracy=value)])


def test_impossible_definitions_are_refused() -> None:
    with pytest.raises(NasError, match="give a finite at_most"):
        Limit("macs")
    with pytest.raises(NasError, match="give a finite at_most"):
        Limit("macs", at_most=math.nan)
    with pytest.raises(NasError, match="is above at_most"):
        Limit("macs", at_most=1.0, at_least=2.0)
    with pytest.raises(NasError, match="there is no metric 'speed'"):
        Limit("speed", at_most=1.0)
    with pytest.raises(NasError, match="use 'maximize' or 'minimize'"):
        Objective("macs", "max")  # type: ignore[arg-type]
    with pytest.raises(NasError, match="each metric once"):
        Problem((ACCURACY, ACCURACY))
    with pytest.raises(NasError, match="at least one"):
        Problem(())


def test_problem_survives_json() -> None:
    assert Problem.from_json(json.loads(json.dumps(PROBLEM.to_json()))) == PROBLEM
    with pytest.raises(NasError, match="no search problem"):
        Problem.from_json({"objectives": [{"metric": "macs", "goal": "minimize"}], "limits": []})


def test_explanation_names_the_nearest_network_and_what_it_breaks() -> None:
    far, near = make_candidate(0, latency_s__a=0.2), make_candidate(1, latency_s__a=0.03)
    text = explain_infeasible([far, near], PROBLEM)
    assert "none of 2 networks" in text
    assert near.arch.key in text
    assert "30 ms where the limit is latency_s.a at most 20 ms" in text
    assert "accuracy at least 50.00%" in text
    assert "no network was evaluated" in explain_infeasible([], PROBLEM)
