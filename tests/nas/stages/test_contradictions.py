"""What counts as a contradiction: seldom anything where predictions are as good as they were checked to be."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import betabinom

from nas.stages.contradictions import Compared, chance_of_outside, contradictions

ERRORS = np.linspace(-0.095, 0.095, 39)
"""Held-out errors of which nine in ten are below ten per cent."""


def compared(measured: list[float], half: float = 0.1, predicted: list[float] | None = None) -> list[Compared]:
    """Networks predicted at 1, 2, 3 … ms, or as given, with intervals of such a share on both sides."""
    guesses = predicted or [1e-3 * (number + 1) for number in range(len(measured))]
    return [
        Compared(f"k{number}", "phone", guess, guess / (1 + half), guess * (1 + half), found)
        for number, (guess, found) in enumerate(zip(guesses, measured, strict=True))
    ]


@pytest.mark.parametrize("networks", [2, 12, 40])
@pytest.mark.parametrize("checked", [6, 40])
@pytest.mark.parametrize("heavy", [False, True])
def test_errors_like_those_of_the_check_are_seldom_a_contradiction(networks: int, checked: int, heavy: bool) -> None:
    rng = np.random.default_rng(networks)
    draw = rng.laplace if heavy else rng.normal
    coverage = min(0.9, checked / (checked + 1))
    alarms, trials = 0, 60
    for _ in range(trials):
        errors: NDArray[np.float64] = draw(0, 0.08, checked)
        half = math.exp(np.sort(np.abs(errors))[math.ceil((checked + 1) * coverage) - 1]) - 1
        predicted = np.exp(rng.uniform(-7, -5, networks))
        measured = predicted * np.exp(draw(0, 0.08, networks))
        found = compared(measured.tolist(), half, predicted.tolist())
        alarms += bool(contradictions(found, errors, coverage))
    assert alarms / trials < 0.15


@given(st.integers(0, 30), st.integers(0, 30), st.integers(1, 100), st.sampled_from([0.5, 0.8, 0.9]))
def test_the_chance_of_many_outside_is_that_of_ranks(outside: int, more: int, checked: int, coverage: float) -> None:
    coverage = min(coverage, checked / (checked + 1))
    within = math.ceil((checked + 1) * coverage)
    exact = betabinom.sf(outside - 1, outside + more, checked + 1 - within, within)
    assert chance_of_outside(outside, outside + more, checked, coverage) == pytest.approx(exact, abs=1e-9)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-0.99, 0.99), min_size=1, max_size=20))
def test_networks_far_apart_and_within_their_intervals_contradict_nothing(shares: list[float]) -> None:
    guesses = [1e-6 * 1.5**number for number in range(len(shares))]
    found = [guess * 1.1**share for guess, share in zip(guesses, shares, strict=True)]
    assert contradictions(compared(found, predicted=guesses), ERRORS) == []


def test_networks_that_are_all_slower_are_one() -> None:
    (told,) = contradictions(compared([1.15e-3, 2.3e-3, 3.45e-3]), ERRORS)
    assert told == "phone: 3 of 3 networks are outside intervals that should hold 90%"


def test_one_just_outside_is_none_and_one_far_outside_is() -> None:
    assert contradictions(compared([1e-3, 2e-3, 3.4e-3, 4e-3, 5e-3]), ERRORS) == []
    (told,) = contradictions(compared([1e-3, 2e-3, 3e-3, 4e-3, 9e-3]), ERRORS)
    assert told.endswith("network k4 takes 9 ms where 5 ms were predicted (4.55 ms to 5.5 ms), which is far outside")


def test_another_order_than_such_errors_give_is_one() -> None:
    close, apart = [1e-3, 1.01e-3, 1.02e-3], [1e-3, 1.3e-3, 1.6e-3]
    assert contradictions(compared([1.02e-3, 1.01e-3, 1e-3], predicted=close), ERRORS) == []
    (told,) = contradictions(compared([1.22e-3, 1.2e-3, 1.6e-3], 0.25, predicted=apart), ERRORS)
    assert told == "phone: 1 of 3 pairs of networks are in another order than predicted"


def test_a_difference_that_a_device_makes_alone_is_none() -> None:
    assert contradictions(compared([1.04e-3, 2.08e-3, 3.12e-3], 0.001), ERRORS / 100) == []


def test_nothing_compared_contradicts_nothing() -> None:
    assert contradictions([], ERRORS) == []
