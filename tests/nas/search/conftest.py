"""A small space with conditions within conditions, named options, and a decision that has one option only."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from nas.candidate import Candidate, Metric
from nas.objective import Limit, Objective, Problem
from search_spaces import Architecture, Condition, Decision, Network, NetworkBuilder, SearchSpace


class NestedSpace(SearchSpace):
    @property
    def name(self) -> str:
        return "nested"

    @property
    def decisions(self) -> tuple[Decision, ...]:
        return (
            Decision("depth", (1, 2, 3)),
            Decision("kind", ("plain", "attention", "pool"), Condition("depth", frozenset({1, 2}))),
            Decision("heads", (1, 2, 4), Condition("kind", frozenset({1}))),
            Decision("only", (7,)),
            Decision("width", (0.5, 0.75, 1.0, 1.25)),
        )

    def lower(self, arch: Architecture) -> Network:
        builder = NetworkBuilder((1, 1, 1))
        builder.flatten("flatten", builder.input)
        return builder.build()


@pytest.fixture
def space() -> SearchSpace:
    return NestedSpace()


@pytest.fixture
def problem() -> Problem:
    objectives = (Objective("accuracy", "maximize"), Objective("latency_s.toy", "minimize"))
    return Problem(objectives, (Limit("latency_s.toy", at_most=6.0),))


@pytest.fixture
def judge() -> Callable[[Sequence[Architecture]], list[Candidate]]:
    """Larger is better and slower; candidates beyond the limit carry no accuracy."""

    def evaluate(archs: Sequence[Architecture]) -> list[Candidate]:
        candidates = []
        for arch in archs:
            depth, kind, heads, _, width = arch.choices
            latency_s = float(1 + depth + heads + width)
            metrics = {"latency_s.toy": Metric(latency_s, "s", "predicted")}
            if latency_s <= 6.0:
                metrics["accuracy"] = Metric((depth + 2 * width + heads + (kind == 1)) / 20, "1", "evaluated")
            candidates.append(Candidate(arch, metrics))
        return candidates

    return evaluate
