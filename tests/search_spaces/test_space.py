from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_spaces import Architecture, Condition, Decision, Network, NetworkBuilder, SearchSpace, SpaceError


class TinySpace(SearchSpace):
    """Any decisions; the network is one linear layer, as these tests look at the choices only."""

    def __init__(self, *decisions: Decision) -> None:
        self._decisions = decisions

    @property
    def name(self) -> str:
        return "tiny"

    @property
    def decisions(self) -> tuple[Decision, ...]:
        return self._decisions

    def lower(self, arch: Architecture) -> Network:
        self.validate(arch)
        builder = NetworkBuilder((4,))
        builder.linear("linear", builder.input, 2)
        return builder.build()


@st.composite
def tiny_spaces(draw: st.DrawFn) -> TinySpace:
    """Up to five decisions of one to three options, with conditions nested at random."""
    decisions: list[Decision] = []
    for index in range(draw(st.integers(1, 5))):
        condition = None
        if index and draw(st.booleans()):
            parent = decisions[draw(st.integers(0, index - 1))]
            allowed = draw(st.frozensets(st.integers(0, len(parent.options) - 1)))
            condition = Condition(parent.name, allowed)
        decisions.append(Decision(f"d{index}", tuple(range(draw(st.integers(1, 3)))), condition))
    return TinySpace(*decisions)


def all_architectures(space: SearchSpace) -> list[Architecture]:
    ranges = [range(len(decision.options)) for decision in space.decisions]
    return [Architecture(space.name, choices) for choices in product(*ranges)]


def meaning(space: SearchSpace, arch: Architecture) -> tuple[tuple[str, int], ...]:
    """Choices that matter, found decision by decision."""
    taken: dict[str, int] = {}
    for decision, choice in zip(space.decisions, arch.choices, strict=True):
        condition = decision.condition
        if condition is None or taken.get(condition.decision, -1) in condition.options:
            taken[decision.name] = choice
    return tuple(taken.items())


@settings(max_examples=100, deadline=None)
@given(space=tiny_spaces())
def test_size_canonical_and_encoding_against_brute_force(space: TinySpace) -> None:
    archs = all_architectures(space)
    canonical = {arch: space.canonical(arch) for arch in archs}
    meanings = {arch: meaning(space, arch) for arch in archs}
    assert space.size == len(set(canonical.values())) == len(set(meanings.values()))
    for arch in archs:
        assert meanings[canonical[arch]] == meanings[arch]
        assert tuple(space.options_of(arch).items()) == meanings[arch]
    distinct = sorted(set(canonical.values()), key=lambda arch: arch.choices)
    assert len({row.tobytes() for row in space.encode(distinct)}) == len(distinct)
    assert len({arch.key for arch in distinct}) == len(distinct)


@settings(max_examples=100, deadline=None)
@given(space=tiny_spaces(), seed=st.integers(0, 1000), rate=st.floats(0, 1))
def test_mutation_and_crossover_stay_canonical_in_nested_spaces(space: TinySpace, seed: int, rate: float) -> None:
    rng = np.random.default_rng(seed)
    left, right = space.sample(rng), space.sample(rng)
    for child in (space.mutate(left, rng, rate), space.crossover(left, right, rng), space.largest(), space.smallest()):
        assert space.canonical(child) == child
    if space.size > 1 and (space.active(space.indices([left]))[0] & (space.option_counts > 1)).any():
        assert space.mutate(left, rng, rate) != left
    given_options = space.options_of(left).items() | space.options_of(right).items()
    assert space.options_of(space.crossover(left, right, rng)).items() <= given_options


def test_mutation_reaches_the_whole_space() -> None:
    depth = Decision("depth", (1, 2))
    space = TinySpace(depth, Decision("kernel", (3, 5, 7), Condition("depth", frozenset({1}))))
    rng = np.random.default_rng(0)
    arch, seen = space.smallest(), set()
    for _ in range(200):
        arch = space.mutate(arch, rng)
        seen.add(arch)
    assert len(seen) == space.size == 4


def test_decisions_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(SpaceError, match="same name"):
        _ = TinySpace(Decision("a", (1,)), Decision("a", (1,))).sample(np.random.default_rng(0))
    late = TinySpace(Decision("a", (1,), Condition("b", frozenset({0}))), Decision("b", (1,)))
    with pytest.raises(SpaceError, match="'a' depends on 'b', which is not before it"):
        _ = late.size
