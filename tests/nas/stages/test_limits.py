"""Limits that no network keeps are told before a search, and a search among rare networks begins with some."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from nas.errors import UnreachableError
from nas.evaluate import CompositeEvaluator
from nas.objective import Limit, Objective, Problem
from nas.stages.limits import starting_points
from search_spaces import Architecture, Network, get_space, macs

SPACE = get_space("mobilenetv3_32", {"depths": [1, 2], "widths": [0.25, 0.5]})
SMALLEST = macs(SPACE.lower(SPACE.smallest()))


class MacsPredictor:
    """A device that does 10^9 multiply-accumulates a second, and says how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def predict(self, networks: Sequence[Network]) -> NDArray[np.float64]:
        self.asked += len(networks)
        return np.array([macs(network) / 1e9 for network in networks])


def start(*limits: Limit, predictor: MacsPredictor | None = None) -> list[Architecture]:
    judge = CompositeEvaluator(SPACE, predictors={"phone": predictor or MacsPredictor()}).cheap
    problem = Problem((Objective("accuracy", "maximize"), Objective("macs", "minimize")), limits)
    return starting_points(SPACE, problem, judge, np.random.default_rng(0), count=8)


def test_a_latency_out_of_reach_is_explained() -> None:
    with pytest.raises(UnreachableError) as caught:
        start(Limit("latency_s.phone", at_most=SMALLEST / 2e9))
    assert f"the fastest network of this space is predicted at {SMALLEST / 1e6:.3g} ms" in str(caught.value)


def test_a_count_out_of_reach_is_explained() -> None:
    with pytest.raises(UnreachableError, match=r"macs at least 1e\+06 M MACs, but the network nearest to it .* has "):
        start(Limit("macs", at_least=1e12))


def test_limits_that_exclude_each_other_are_explained() -> None:
    with pytest.raises(UnreachableError, match="cannot be kept together"):
        start(Limit("macs", at_least=4 * SMALLEST), Limit("latency_s.phone", at_most=3 * SMALLEST / 1e9))


def test_networks_that_keep_rare_limits_are_found() -> None:
    limit = Limit("latency_s.phone", at_most=1.5 * SMALLEST / 1e9)
    found = start(limit)
    assert len(found) == len(set(found)) == 8
    assert all(macs(SPACE.lower(arch)) <= 1.5 * SMALLEST for arch in found)
    assert found == start(limit)


@pytest.mark.parametrize(
    "limits", [(), (Limit("accuracy", at_least=0.999),), (Limit("latency_s.board", at_most=1e-9),)]
)
def test_what_is_not_judged_quickly_is_left_to_the_search(limits: tuple[Limit, ...]) -> None:
    assert start(*limits) == []


def test_limits_that_random_networks_keep_cost_next_to_nothing() -> None:
    predictor = MacsPredictor()
    assert start(Limit("macs", at_most=1e9), Limit("latency_s.phone", at_most=1.0), predictor=predictor) == []
    assert predictor.asked <= 64
