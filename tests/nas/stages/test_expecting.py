"""What is expected of candidates once some were measured, and what is measured next."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.candidate import ACCURACY, Candidate, Metric
from nas.objective import Limit, Objective, Problem
from nas.pareto import ParetoFront
from nas.stages.expecting import as_files_are, expected, next_finalists, spread, unfit
from nas.stages.fronts import ALL, View
from search_spaces import Architecture

LATENCY = "latency_s.phone"
OBJECTIVES = (Objective(ACCURACY, "maximize"), Objective(LATENCY, "minimize"))


def candidate(number: int, accuracy: float | None, latency_s: float, source: Any = "predicted") -> Candidate:
    metrics = {LATENCY: Metric(latency_s, "s", source)}
    if accuracy is not None:
        metrics[ACCURACY] = Metric(accuracy, "1", "evaluated")
    return Candidate(Architecture("toy", (number,)), metrics)


def row(number: int, accuracy: float, latency_s: float, judged: float, error: str | None = None) -> dict[str, Any]:
    """A network that was confirmed as a file."""
    found = candidate(number, judged, latency_s, "measured")
    if error:
        found = Candidate(found.arch, {ACCURACY: found.metrics[ACCURACY]})
    promised = candidate(number, accuracy, latency_s).to_json()["metrics"]
    return {**found.to_json(), "predicted": promised, "measurements": [{"target": "phone", "error": error}]}


def test_limits_on_accuracy_allow_for_what_files_lose() -> None:
    limits = (Limit(ACCURACY, at_least=0.7), Limit(LATENCY, at_most=1.0))
    rows = [row(0, 0.8, 0.1, 0.78), row(1, 0.75, 0.1, 0.70), row(2, 0.9, 0.1, 0.87)]
    moved = as_files_are(Problem(OBJECTIVES, limits), rows)
    assert moved.limits[0].at_least == pytest.approx(0.73)
    assert moved.limits[1] == limits[1]
    assert as_files_are(Problem(OBJECTIVES, limits), []) == Problem(OBJECTIVES, limits)


def test_networks_that_fail_or_lose_too_much_are_unfit() -> None:
    problem = Problem(OBJECTIVES, (Limit(ACCURACY, at_least=0.7), Limit(LATENCY, at_most=0.2)))
    rows = [row(0, 0.8, 0.1, 0.69), row(1, 0.8, 0.1, 0.71), row(2, 0.8, 0.1, 0.8, "it fell"), row(3, 0.8, 0.3, 0.8)]
    assert unfit(problem, rows) == {rows[0]["key"], rows[2]["key"]}


def test_measured_latencies_count_and_candidates_that_were_never_judged_do_not() -> None:
    problem = Problem(OBJECTIVES, (Limit(LATENCY, at_most=0.2),))
    known = [candidate(0, 0.8, 0.1), candidate(1, None, 0.15), candidate(2, None, 0.25), candidate(3, 0.9, 0.3)]
    found = expected(known, [row(0, 0.8, 0.19, 0.75)], [View(ALL, problem)])
    assert [one.arch.choices[0] for one in found] == [0, 2, 3]
    assert found[0].metrics[LATENCY].source == "measured"
    assert found[0].value(LATENCY) == 0.19
    assert found[0].value(ACCURACY) == 0.8


def chosen(candidates: list[Candidate], measured: list[Candidate], count: int | None) -> list[Candidate]:
    keys = {one.arch.key for one in measured}
    return next_finalists(View(ALL, Problem(OBJECTIVES)), [*candidates, *measured], keys, count)


def test_what_fills_the_largest_gap_is_measured_first() -> None:
    members = [candidate(n, 0.9 - 0.1 * n, 1.0 - 0.1 * n) for n in range(9)]
    measured = [members[0], members[4]]
    assert chosen([members[n] for n in (1, 2, 3, 5, 6, 7, 8)], measured, 1) == [members[8]]
    assert chosen([members[n] for n in (1, 2, 3, 8)], measured, 2) == [members[2], members[8]]


values = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), max_size=12)


@settings(max_examples=60, deadline=None)
@given(values, values, st.integers(1, 13))
def test_new_members_of_the_front_are_chosen_as_many_as_asked_for(
    new: list[tuple[float, float]], old: list[tuple[float, float]], count: int
) -> None:
    candidates = [candidate(number, *value) for number, value in enumerate(new)]
    measured = [candidate(100 + number, *value) for number, value in enumerate(old)]
    fresh = chosen(candidates, measured, None)
    assert fresh == [one for one in ParetoFront.of([*candidates, *measured], Problem(OBJECTIVES)) if one in candidates]
    some = chosen(candidates, measured, count)
    assert len(some) == min(count, len(fresh))
    assert some == [one for one in fresh if one in some]


def test_spread_keeps_both_ends() -> None:
    members = [candidate(n, 0.5, 0.1) for n in range(7)]
    assert [one.arch.choices[0] for one in spread(members, 3)] == [0, 3, 6]
    assert spread(members, None) == spread(members, 9) == members
