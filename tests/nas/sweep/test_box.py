"""Shares of a box: what they can be, and that more candidates never make a front's smaller."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.candidate import Candidate, Metric
from nas.objective import Objective, Problem
from nas.pareto import ParetoFront
from nas.sweep.box import Box
from search_spaces import Architecture

PROBLEM = Problem((Objective("accuracy", "maximize"), Objective("macs", "minimize")))


def candidate(number: int, accuracy: float, macs: float) -> Candidate:
    metrics = {"accuracy": Metric(accuracy, "1", "evaluated"), "macs": Metric(macs, "MACs", "counted")}
    return Candidate(Architecture("any", (number,)), metrics)


BOX = Box.around([candidate(0, 0.3, 40.0), candidate(1, 0.1, 100.0)], PROBLEM)


def test_it_reaches_from_what_nothing_beats_to_the_worst() -> None:
    assert BOX.ideal == {"accuracy": 1.0, "macs": 0.0}
    assert BOX.reference == {"accuracy": 0.0, "macs": 100.0}
    assert BOX.share(ParetoFront.of([candidate(0, 0.5, 50.0)], PROBLEM)) == pytest.approx(0.25)
    assert BOX.share(ParetoFront.of([], PROBLEM)) == 0.0


def test_more_objectives_than_can_be_computed_have_none() -> None:
    names = ("accuracy", "macs", "parameters", "flash_bytes")
    box = Box(dict.fromkeys(names, 0.0), dict.fromkeys(names, 1.0))
    assert box.share(ParetoFront(PROBLEM, ())) is None


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 200)), max_size=12))
def test_shares_lie_between_nothing_and_all_and_only_grow(points: list[tuple[float, float]]) -> None:
    candidates = [candidate(number, *point) for number, point in enumerate(points)]
    shares = [BOX.share(ParetoFront.of(candidates[:count], PROBLEM)) or 0.0 for count in range(len(points) + 1)]
    assert all(0.0 <= share <= 1.0 + 1e-12 for share in shares)
    assert all(later >= earlier - 1e-12 for earlier, later in pairwise(shares))
