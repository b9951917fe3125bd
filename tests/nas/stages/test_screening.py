"""A search by predicted accuracy: who judged what, kills, and predictors that fail their check."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from nas.accuracy import load_accuracy_predictor
from nas.candidate import ACCURACY, Candidate
from nas.config import Config, make_config
from nas.errors import NasError
from nas.evaluate import CompositeEvaluator
from nas.files import read_json
from nas.objective import Limit
from nas.pareto import ParetoFront
from nas.stages import search
from nas.stages.context import Context
from nas.stages.screening import make_screening, most_promising
from search_spaces import Architecture, SearchSpace, macs

REFERENCE = {"accuracy": 0.4, "macs": 2.5e7}


def config(**section: Any) -> Config:
    return make_config(
        {
            "space": {"name": "mobilenetv3_32"},
            "data": {"source": "digits"},
            "targets": [{"name": "chip", "device": "fake"}],
            "objectives": [
                {"metric": "accuracy", "direction": "maximize"},
                {"metric": "macs", "direction": "minimize"},
            ],
            "limits": [{"metric": "macs", "at_most": 2.5e7}],
            "search": {"evaluations": 50, "batch": 10, "screened": 4, "options": {"population": 10}, **section},
        }
    )


def made_up_accuracy(space: SearchSpace) -> Callable[[Architecture], float]:
    """Grows with work and with kernels."""

    def accuracy(arch: Architecture) -> float:
        kernels = sum(float(v) for name, v in space.options_of(arch).items() if name.endswith("kernel"))
        return 0.1 + 0.04 * float(np.log(macs(space.lower(arch)))) + 0.002 * kernels

    return accuracy


def surroundings(config: Config, folder: Path) -> tuple[Context, list[str]]:
    """All of a run that a search looks at, without a supernet; and what the user is told."""
    told: list[str] = []

    @contextmanager
    def ledger() -> Iterator[None]:
        yield

    def rng(*purpose: str | int) -> np.random.Generator:
        return np.random.default_rng([part if isinstance(part, int) else sum(part.encode()) for part in purpose])

    silent = SimpleNamespace(start=lambda *_, **__: None, advance=lambda *_: None, note=told.append, warn=told.append)
    stub = SimpleNamespace(
        config=config,
        space=config.make_space(),
        targets=(),
        rng=rng,
        path=folder.joinpath,
        ledger=ledger,
        progress=silent,
        run=SimpleNamespace(result=lambda stage: folder / stage / "front.json"),
    )
    return cast(Context, stub), told


def run(
    monkeypatch: pytest.MonkeyPatch,
    config: Config,
    folder: Path,
    accuracy: Callable[[Architecture], float] | None = None,
) -> list[str]:
    """Run the search stage; what the user was told."""
    context, told = surroundings(config, folder)
    judge = accuracy or made_up_accuracy(context.space)

    def accuracies(archs: Sequence[Architecture]) -> Iterator[tuple[Architecture, float]]:
        return ((arch, judge(arch)) for arch in archs)

    evaluator = CompositeEvaluator(context.space, predictors={}, accuracies=accuracies, limits=config.limits)
    monkeypatch.setattr(search, "make_evaluator", lambda *_: evaluator)
    monkeypatch.setattr(search, "fitted_predictors", lambda _: {})
    search.run(context)
    return told


def rows(folder: Path) -> list[Candidate]:
    text = (folder / "search" / "candidates.jsonl").read_text()
    return [Candidate.from_json(json.loads(line)) for line in text.splitlines()]


def front(folder: Path) -> ParetoFront:
    return ParetoFront.from_json(read_json(folder / "search" / "front.json"))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("search")
    with pytest.MonkeyPatch.context() as monkeypatch:
        run(monkeypatch, config(accuracy="predicted"), folder)
    return folder


def test_every_candidate_ever_judged_is_kept_with_what_judged_it(finished: Path) -> None:
    candidates = rows(finished)
    predicted = [c for c in candidates if c.source(ACCURACY) == "predicted"]
    found = [c for c in candidates if c.source(ACCURACY) != "predicted"]
    assert len(found) == 50
    assert len(predicted) == 2 * 4 * 10
    for candidate in predicted:
        interval = candidate.metrics[ACCURACY].interval
        assert interval is not None and interval[0] <= candidate.value(ACCURACY) <= interval[1]
    assert len({c.arch.key for c in found}) == 50
    assert {c.arch.key for c in found[30:]} <= {c.arch.key for c in predicted}


def test_what_is_reported_as_found_was_evaluated(finished: Path) -> None:
    accuracy = made_up_accuracy(config().make_space())
    for member in front(finished):
        assert member.source(ACCURACY) == "evaluated"
        assert member.value(ACCURACY) == accuracy(member.arch)


def test_the_predictor_is_kept(finished: Path) -> None:
    predictor = load_accuracy_predictor(finished / "search" / "accuracy_predictor", config().make_space())
    assert len(predictor.archs_) <= 40


def test_more_is_found_with_the_same_evaluations(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(monkeypatch, config(accuracy="supernet"), tmp_path)
    assert front(finished).hypervolume(REFERENCE) > front(tmp_path).hypervolume(REFERENCE)


@pytest.mark.parametrize("killed_after", [3, 25, 36, 44])
def test_a_kill_changes_nothing(
    killed_after: int, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accuracy, calls = made_up_accuracy(config().make_space()), 0

    def killed(arch: Architecture) -> float:
        nonlocal calls
        calls += 1
        if calls > killed_after:
            raise KeyboardInterrupt
        return accuracy(arch)

    with pytest.raises(KeyboardInterrupt):
        run(monkeypatch, config(accuracy="predicted"), tmp_path, killed)
    run(monkeypatch, config(accuracy="predicted"), tmp_path)
    for name in ("candidates.jsonl", "front.json"):
        assert (tmp_path / "search" / name).read_bytes() == (finished / "search" / name).read_bytes()


@pytest.mark.parametrize("kind", ["noise", "constant"])
def test_a_predictor_that_fails_its_check_is_not_used_and_the_user_is_told(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def noise(arch: Architecture) -> float:
        return 0.5 if kind == "constant" else int(arch.key[:6], 16) / 16**6

    told = run(monkeypatch, config(accuracy="predicted"), tmp_path, noise)
    assert [c for c in rows(tmp_path) if c.source(ACCURACY) == "predicted"] == []
    wanted = "fails its check" if kind == "noise" else "cannot be predicted"
    assert sum(wanted in line for line in told) == 2
    assert not (tmp_path / "search" / "accuracy_predictor").exists()


def test_candidates_that_must_be_measured_are_not_screened(tmp_path: Path) -> None:
    context, told = surroundings(config(accuracy="predicted"), tmp_path)
    assert make_screening(context, None) is None
    assert "every candidate is evaluated" in told[0]


def test_a_supernet_search_screens_nothing(tmp_path: Path) -> None:
    context, told = surroundings(config(), tmp_path)
    assert make_screening(context, lambda archs: []) is None
    assert told == []


def test_a_stored_study_and_predicted_accuracy_do_not_go_together() -> None:
    options = {"storage": "sqlite:///x.sqlite", "study": "a"}
    with pytest.raises(NasError, match="leave out storage"):
        config(accuracy="predicted", strategy="optuna", options=options)


def test_the_best_are_chosen_and_one_in_four_is_any_other(finished: Path) -> None:
    candidates = rows(finished)
    predicted = [c for c in candidates[30:70] if c.source(ACCURACY) == "predicted"]
    found, problem = candidates[:30], config().problem
    chosen = most_promising(predicted, found, problem, 8, np.random.default_rng(0))
    assert len(set(chosen)) == 8
    ahead = ParetoFront.of([*predicted, *found], problem)
    leaders = {member.arch for member in ahead if member.source(ACCURACY) == "predicted"}
    assert set(chosen[:6]) <= leaders or leaders <= set(chosen[:6])
    assert len(most_promising(predicted[:3], found, problem, 8, np.random.default_rng(0))) == 3


def rare(**section: Any) -> Config:
    """A limit that hardly any random network keeps."""
    space = config().make_space()
    most = 1.5 * macs(space.lower(space.smallest()))
    given = config(evaluations=40, **section)
    return given.model_copy(update={"limits": (Limit("macs", at_most=most),)})


def test_a_search_among_rare_networks_begins_with_some(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = run(monkeypatch, rare(), tmp_path / "whole")
    assert "few networks keep the limits; it begins with 10 that do" in told[0]
    found = rows(tmp_path / "whole")
    assert all(rare().problem.feasible([candidate]) for candidate in found[:10])

    monkeypatch.setattr(search, "starting_points", lambda *_, **__: [])
    run(monkeypatch, rare(), tmp_path / "without")
    kept = [len(rare().problem.feasible(rows(tmp_path / name))) for name in ("whole", "without")]
    assert kept[0] > kept[1]


def test_a_kill_among_the_first_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(monkeypatch, rare(batch=4), tmp_path / "whole")
    accuracy, calls = made_up_accuracy(config().make_space()), iter(range(6))

    def killed(arch: Architecture) -> float:
        if next(calls, None) is None:
            raise KeyboardInterrupt
        return accuracy(arch)

    with pytest.raises(KeyboardInterrupt):
        run(monkeypatch, rare(batch=4), tmp_path / "killed", killed)
    run(monkeypatch, rare(batch=4), tmp_path / "killed")
    files = [(tmp_path / name / "search" / "candidates.jsonl").read_bytes() for name in ("whole", "killed")]
    assert files[0] == files[1]
