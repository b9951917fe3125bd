"""What every registered searcher keeps to; a new one is tested by being registered."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import pytest

from nas.candidate import Candidate, Metric
from nas.errors import NasError
from nas.objective import Limit, Objective, Problem
from nas.pareto import ParetoFront
from nas.search import Searcher, describe_searcher, get_searcher, searcher_names
from search_spaces import Architecture, Condition, Decision, Network, NetworkBuilder, SearchSpace

OBJECTIVES = (Objective("accuracy", "maximize"), Objective("latency_s.toy", "minimize"))
LIMIT = Limit("latency_s.toy", at_most=8.0)
WORST = {"accuracy": 0.0, "latency_s.toy": 40.0}

Make: TypeAlias = Callable[..., Searcher]


class ToySpace(SearchSpace):
    """Depth, and for every block a width and a kind that matter where the network is deep enough."""

    def __init__(self, blocks: int = 6, widths: int = 4) -> None:
        decisions = [Decision("depth", tuple(range(1, blocks + 1)))]
        for block in range(blocks):
            condition = Condition("depth", frozenset(range(block, blocks))) if block else None
            decisions.append(Decision(f"width.{block}", tuple(range(1, widths + 1)), condition))
            decisions.append(Decision(f"kind.{block}", ("plain", "wide", "deep"), condition))
        self._decisions = tuple(decisions)
        self._name = f"toy-{blocks}-{widths}"

    @property
    def name(self) -> str:
        return self._name

    @property
    def decisions(self) -> tuple[Decision, ...]:
        return self._decisions

    def lower(self, arch: Architecture) -> Network:
        builder = NetworkBuilder((1, 1, 1))
        builder.flatten("flatten", builder.input)
        return builder.build()


SPACE = ToySpace()
TINY = ToySpace(blocks=2, widths=2)  # 6 + 36 networks
BIG = ToySpace(blocks=10, widths=6)


def evaluate(archs: Sequence[Architecture], space: SearchSpace = SPACE) -> list[Candidate]:
    """Deeper and wider is better and slower; only one kind in three is worth its time."""
    candidates = []
    for arch in archs:
        taken = space.options_of(arch)
        widths = [float(value) for name, value in taken.items() if name.startswith("width")]
        good = sum(value == "wide" for value in taken.values())
        latency_s = sum(width * (1 + 0.2 * block) for block, width in enumerate(widths))
        accuracy = 1 - 1 / (1 + 0.3 * sum(width**0.5 for width in widths) + 0.2 * good)
        metrics = {"accuracy": Metric(accuracy, "1", "evaluated"), "latency_s.toy": Metric(latency_s, "s", "predicted")}
        if latency_s > 20:  # far beyond every limit used here: the evaluator saves itself the trouble
            del metrics["accuracy"]
        candidates.append(Candidate(arch, metrics))
    return candidates


def evaluate_fully(archs: Sequence[Architecture], space: SearchSpace = SPACE) -> list[Candidate]:
    full = []
    for candidate in evaluate(archs, space):
        accuracy = candidate.metrics.get("accuracy", Metric(0.01, "1", "evaluated"))
        full.append(Candidate(candidate.arch, {**candidate.metrics, "accuracy": accuracy}))
    return full


def evaluate_in(space: SearchSpace) -> Callable[[Sequence[Architecture]], list[Candidate]]:
    return lambda archs: evaluate(archs, space)


VARIANTS: dict[str, tuple[str, Mapping[str, Any]]] = {
    **{name: (name, {}) for name in searcher_names()},
    "nsga2-small": ("nsga2", {"population": 12}),
    "optuna-nsgaii": ("optuna", {"sampler": "nsgaii", "sampler_options": {"population_size": 10}}),
    "optuna-nsgaiii": ("optuna", {"sampler": "nsgaiii", "sampler_options": {"population_size": 10}}),
    "optuna-tpe": ("optuna", {"sampler": "tpe", "sampler_options": {"n_startup_trials": 20, "n_ei_candidates": 4}}),
    "optuna-random": ("optuna", {"sampler": "random"}),
    "optuna-qmc": ("optuna", {"sampler": "qmc"}),
    "optuna-bruteforce": ("optuna", {"sampler": "bruteforce"}),
}


@pytest.fixture(params=sorted(VARIANTS))
def make(request: pytest.FixtureRequest) -> Make:
    name, options = VARIANTS[request.param]

    def factory(space: SearchSpace = SPACE, seed: int = 0, limits: Sequence[Limit] = (), **more: object) -> Searcher:
        rng = np.random.default_rng(seed)
        return get_searcher(name, space, OBJECTIVES, limits, rng=rng, options={**options, **more})

    return factory


def run(searcher: Searcher, rounds: int, batch: int, evaluator: Callable[..., list[Candidate]]) -> list[Candidate]:
    told: list[Candidate] = []
    for _ in range(rounds):
        candidates = evaluator(searcher.ask(batch))
        searcher.tell(candidates)
        told += candidates
    return told


def through_json(state: Mapping[str, Any]) -> dict[str, Any]:
    restored: dict[str, Any] = json.loads(json.dumps(state, allow_nan=False))
    return restored


def test_same_seed_same_search(make: Make) -> None:
    runs = [run(make(seed=seed), 5, 8, evaluate_fully) for seed in (3, 3, 4)]
    assert runs[0] == runs[1] != runs[2]


def test_never_invalid_never_twice_always_canonical(make: Make) -> None:
    archs = [candidate.arch for candidate in run(make(), 10, 7, evaluate_fully)]
    assert len(archs) == len(set(archs)) == 70
    for arch in archs:
        assert SPACE.canonical(arch) == arch


@pytest.mark.parametrize("limits", [(), (LIMIT,)])
def test_resumed_search_equals_an_undisturbed_one(make: Make, limits: Sequence[Limit]) -> None:
    evaluator = evaluate if limits else evaluate_fully
    undisturbed = run(make(limits=limits), 6, 8, evaluator)
    searcher = make(limits=limits)
    told = run(searcher, 3, 8, evaluator)
    resumed = make(limits=limits, seed=99)  # everything that matters comes from the state
    resumed.restore(through_json(searcher.state()))
    assert told + run(resumed, 3, 8, evaluator) == undisturbed


def test_what_was_asked_and_not_told_is_asked_again(make: Make) -> None:
    searcher = make()
    run(searcher, 2, 8, evaluate_fully)
    before = through_json(searcher.state())
    asked = searcher.ask(6)
    after = through_json(searcher.state())
    for state, counts in ((before, [6]), (after, [6]), (after, [2, 4])):
        resumed = make(seed=99)
        resumed.restore(state)
        assert [arch for count in counts for arch in resumed.ask(count)] == asked
        assert not set(resumed.ask(5)) & set(asked)


def test_part_of_a_batch_told_before_the_kill(make: Make) -> None:
    searcher = make()
    asked = searcher.ask(6)
    searcher.tell(evaluate_fully(asked[:2]))
    resumed = make(seed=99)
    resumed.restore(through_json(searcher.state()))
    again = resumed.ask(4)
    assert again == asked[2:]
    resumed.tell(evaluate_fully(again))
    assert not set(resumed.ask(6)) & set(asked)


def test_asked_twice_before_anything_is_told(make: Make) -> None:
    searcher = make()
    first, second = searcher.ask(5), searcher.ask(5)
    assert not set(first) & set(second)
    searcher.tell(evaluate_fully([*second, *first]))
    assert not set(searcher.ask(5)) & {*first, *second}


def test_exhausted_space_gives_every_network_once_and_then_none(make: Make) -> None:
    searcher = make(TINY)
    found: list[Architecture] = []
    for _ in range(TINY.size):
        archs = searcher.ask(9)
        searcher.tell(evaluate_fully(archs, TINY))
        found += archs
        if not archs:
            break
    assert len(found) == len(set(found)) == TINY.size
    assert searcher.ask(1) == []


def test_exhausted_while_everything_is_pending(make: Make) -> None:
    searcher = make(TINY)
    asked = searcher.ask(100)
    assert len(set(asked)) == TINY.size
    assert searcher.ask(1) == []
    searcher.tell(evaluate_fully(asked, TINY))
    assert searcher.ask(1) == []


def test_results_of_others_are_taken_in_and_not_asked_for(make: Make) -> None:
    searcher, known = make(TINY), TINY.architectures(TINY.sample_indices(np.random.default_rng(5), 10))
    searcher.tell(evaluate_fully(known, TINY))
    searcher.tell(evaluate_fully(known, TINY))
    assert not set(searcher.ask(100)) & set(known)


def test_front_keeps_the_limits(make: Make) -> None:
    problem = Problem(OBJECTIVES, (LIMIT,))
    front = ParetoFront.of(run(make(limits=[LIMIT]), 5, 10, evaluate), problem)
    assert len(front) >= 3
    assert all(member.value("latency_s.toy") <= 8.0 for member in front)


def test_results_that_cannot_be_judged_are_refused(make: Make) -> None:
    searcher = make(limits=[LIMIT])
    (arch,) = searcher.ask(1)
    for accuracy, latency_s in ((float("nan"), 1.0), (0.5, float("nan")), (float("inf"), 1.0)):
        metrics = {"accuracy": Metric(accuracy, "1", "evaluated"), "latency_s.toy": Metric(latency_s, "s", "predicted")}
        with pytest.raises(NasError, match="only finite numbers can be compared"):
            searcher.tell([Candidate(arch, metrics)])
    with pytest.raises(NasError, match=r"no metric 'latency_s.toy'"):
        searcher.tell([Candidate(arch, {"accuracy": Metric(0.5, "1", "evaluated")})])
    searcher.tell(evaluate_fully([arch]))


def test_architectures_of_another_space_are_refused(make: Make) -> None:
    candidate = Candidate(Architecture("elsewhere", (0,)), evaluate([SPACE.smallest()])[0].metrics)
    with pytest.raises(NasError, match="'elsewhere' given to space"):
        make().tell([candidate])


def test_state_of_another_search_is_refused(make: Make) -> None:
    state = through_json(make(limits=[LIMIT]).state())
    with pytest.raises(NasError, match="the saved search state is of problem"):
        make().restore(state)
    with pytest.raises(NasError, match="the saved search state is of space"):
        make(TINY, limits=[LIMIT]).restore(state)
    with pytest.raises(NasError, match="the saved search state is of searcher"):
        make().restore({})


def test_damaged_state_is_refused(make: Make) -> None:
    state = through_json(make().state())
    for name in set(state) - {"searcher", "space", "problem", "sampler", "study"}:
        damaged = {key: value for key, value in state.items() if key != name}
        with pytest.raises(NasError, match="damaged"):
            make().restore(damaged)


def test_count_and_options_are_checked(make: Make) -> None:
    with pytest.raises(NasError, match="ask for 1 or more"):
        make().ask(0)
    with pytest.raises(NasError, match=r"search\.options\.colour: strategy .* has no such option"):
        make(colour="red")


def test_every_searcher_has_a_description() -> None:
    assert all(describe_searcher(name) for name in searcher_names())
    with pytest.raises(NasError, match=r"there is no searcher 'magic'; .*llowed: .*nsga2"):
        get_searcher("magic", SPACE, OBJECTIVES, rng=np.random.default_rng(0))


@pytest.mark.parametrize("variant", ["nsga2-small", "optuna-nsgaii"])
def test_learning_beats_chance(variant: str) -> None:
    problem = Problem(OBJECTIVES)

    def volume(name: str, options: Mapping[str, Any], seed: int) -> float:
        searcher = get_searcher(name, SPACE, OBJECTIVES, rng=np.random.default_rng(seed), options=options)
        return ParetoFront.of(run(searcher, 15, 12, evaluate_fully), problem).hypervolume(WORST)

    learned = [volume(*VARIANTS[variant], seed) for seed in range(2)]
    chance = [volume("random", {}, seed) for seed in range(2)]
    assert min(learned) > max(chance)


@pytest.mark.parametrize("variant", ["nsga2-small", "optuna-nsgaii"])
def test_search_moves_into_the_feasible_part(variant: str) -> None:
    def share_kept(name: str, options: Mapping[str, Any], seed: int) -> float:
        rng = np.random.default_rng(seed)
        searcher = get_searcher(name, BIG, OBJECTIVES, [LIMIT], rng=rng, options=options)
        kept = [LIMIT.violation(candidate) == 0 for candidate in run(searcher, 12, 10, evaluate_in(BIG))]
        return float(np.mean(kept))

    learned = [share_kept(*VARIANTS[variant], seed) for seed in range(3)]
    chance = [share_kept("random", {}, seed) for seed in range(3)]
    assert np.mean(learned) > 2 * np.mean(chance)
