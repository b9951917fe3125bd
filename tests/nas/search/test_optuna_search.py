"""What is Optuna's own, beyond the contract: storages, samplers, repeats, silence."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution
from optuna.trial import TrialState

from nas.candidate import Candidate
from nas.errors import NasError
from nas.objective import Limit, Problem
from nas.search import OptunaSearcher
from nas.search.optuna_study import sampler_names
from nas.search.study_lock import open_storage
from search_spaces import Architecture, SearchSpace, get_space

Judge = Callable[[Sequence[Architecture]], list[Candidate]]
Options = dict[str, object]
NSGAII: Options = {"sampler": "nsgaii", "sampler_options": {"population_size": 6}}


def make_searcher(space: SearchSpace, problem: Problem, seed: int = 0, **options: object) -> OptunaSearcher:
    return OptunaSearcher(space, problem, np.random.default_rng(seed), **{**NSGAII, **options})  # type: ignore[arg-type]


def rounds(searcher: OptunaSearcher, judge: Judge, count: int) -> list[Architecture]:
    asked: list[Architecture] = []
    for _ in range(count):
        archs = searcher.ask(3)
        searcher.tell(judge(archs))
        asked += archs
    return asked


@pytest.fixture(params=["sqlite:///{}.sqlite", "journal:{}.log"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(request.param).format(tmp_path / "search")


def load(storage: str) -> optuna.Study:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # journals are experimental in some versions
        return optuna.load_study(study_name="s", storage=open_storage(storage))


def test_storage_alone_resumes_the_search(space: SearchSpace, problem: Problem, judge: Judge, storage: str) -> None:
    undisturbed = rounds(make_searcher(space, problem), judge, 3)
    first = make_searcher(space, problem, storage=storage, study="s")
    asked = rounds(first, judge, 1)
    pending = first.ask(3)
    assert asked + pending == undisturbed[:6]
    # The process dies here: nothing was told, no state was written.
    second = make_searcher(space, problem, seed=7, storage=storage, study="s")
    assert rounds(second, judge, 2) == undisturbed[3:]
    assert not [trial for trial in load(storage).trials if trial.state == TrialState.RUNNING]


def test_results_that_came_after_the_state_are_asked_for_again(
    space: SearchSpace, problem: Problem, judge: Judge, storage: str
) -> None:
    undisturbed = rounds(make_searcher(space, problem), judge, 3)
    first = make_searcher(space, problem, storage=storage, study="s")
    rounds(first, judge, 1)
    state = json.loads(json.dumps(first.state()))
    rounds(first, judge, 1)
    # The process dies here: the storage has two batches, whoever keeps the candidates has one.
    second = make_searcher(space, problem, storage=storage, study="s")
    second.restore(state)
    assert rounds(second, judge, 2) == undisturbed[3:]


def test_limits_are_stored_after_a_kill_too(space: SearchSpace, problem: Problem, judge: Judge, storage: str) -> None:
    tight = Problem(problem.objectives, (Limit("latency_s.toy", at_most=3.0),))
    pending = make_searcher(space, tight, storage=storage, study="s").ask(6)
    second = make_searcher(space, tight, storage=storage, study="s")
    assert second.ask(6) == pending
    second.tell(judge(pending))
    trials = load(storage).trials
    assert any(trial.user_attrs["margins"][0] > 0 for trial in trials)
    assert all(list(trial.system_attrs["constraints"]) == trial.user_attrs["margins"] for trial in trials)


def test_kill_between_two_suggestions(space: SearchSpace, problem: Problem, judge: Judge, storage: str) -> None:
    undisturbed = rounds(make_searcher(space, problem), judge, 2)
    asked = rounds(make_searcher(space, problem, storage=storage, study="s"), judge, 1)
    load(storage).ask().suggest_int("depth", 0, 2)
    second = make_searcher(space, problem, storage=storage, study="s")
    assert asked + rounds(second, judge, 1) == undisturbed
    assert [trial.state for trial in load(storage).trials].count(TrialState.FAIL) == 1


def test_kill_between_a_result_and_its_repeat(space: SearchSpace, problem: Problem, judge: Judge, storage: str) -> None:
    first = make_searcher(space, problem, storage=storage, study="s")
    rounds(first, judge, 1)
    study = load(storage)
    repeated = study.trials[0]
    study.enqueue_trial(repeated.params)
    trial = study.ask()
    for name, distribution in repeated.distributions.items():
        trial._suggest(name, distribution)
    second = make_searcher(space, problem, storage=storage, study="s")
    assert load(storage).trials[-1].values == repeated.values
    assert Architecture(space.name, first._parameters.choices(repeated.params) or ()) not in second.ask(4)


def test_repeats_are_told_their_known_result(space: SearchSpace, problem: Problem, judge: Judge) -> None:
    searcher = make_searcher(space, problem, sampler="random", sampler_options={})
    while archs := searcher.ask(4):
        searcher.tell(judge(archs))
    trials = searcher._store.study.trials
    values: dict[tuple[tuple[str, object], ...], set[tuple[float, ...]]] = {}
    for trial in trials:
        assert trial.state == TrialState.COMPLETE
        values.setdefault(tuple(sorted(trial.params.items())), set()).add(tuple(trial.values))
    assert len(values) == space.size < len(trials) <= 9 * space.size
    assert all(len(different) == 1 for different in values.values())


def test_decisions_are_suggested_only_where_they_matter(space: SearchSpace, problem: Problem) -> None:
    searcher = make_searcher(space, problem)
    searcher.ask(20)
    for trial in searcher._store.study.trials:
        choices = searcher._parameters.choices(trial.params)
        assert choices is not None
        assert trial.params.keys() == space.options_of(Architecture(space.name, choices)).keys()
        named = {name for name, kind in trial.distributions.items() if isinstance(kind, CategoricalDistribution)}
        assert named <= {"kind"}


def test_infeasible_trials_carry_constraints_and_stand_in_values(
    space: SearchSpace, problem: Problem, judge: Judge
) -> None:
    searcher = make_searcher(space, problem)
    known = judge(searcher.ask(space.size))
    searcher.tell(known)
    broken = [candidate for candidate in known if "accuracy" not in candidate.metrics]
    assert broken
    worst = min(candidate.value("accuracy") for candidate in known if "accuracy" in candidate.metrics)
    by_margin = [trial for trial in searcher._store.study.trials if trial.user_attrs["margins"][0] > 0]
    assert len(by_margin) >= len(broken)
    assert all(trial.values[0] >= worst or trial.values[0] == 0.0 for trial in by_margin)


def test_a_study_can_be_looked_at_in_optunas_own_terms(
    space: SearchSpace, problem: Problem, judge: Judge, storage: str
) -> None:
    rounds(make_searcher(space, problem, storage=storage, study="s"), judge, 2)
    study = load(storage)
    assert study.metric_names == [objective.metric for objective in problem.objectives]
    assert [direction.name.lower() for direction in study.directions] == [o.direction for o in problem.objectives]
    assert len(study.trials) >= 6 and len(study.best_trials) >= 1


def test_study_of_another_search_is_refused(space: SearchSpace, problem: Problem, storage: str) -> None:
    make_searcher(space, problem, storage=storage, study="s")
    with pytest.raises(NasError, match=r"'s' in this storage belongs to another search .* choose another study name"):
        make_searcher(space, Problem(problem.objectives), storage=storage, study="s")
    with pytest.raises(NasError, match="belongs to another search"):
        make_searcher(get_space("mobilenetv3_32"), problem, storage=storage, study="s")


def test_studies_not_made_here_are_refused(space: SearchSpace, problem: Problem, storage: str) -> None:
    study = optuna.create_study(storage=open_storage(storage), study_name="s", directions=["maximize", "minimize"])
    study.tell(study.ask(), [1.0, 1.0])
    with pytest.raises(NasError, match="belongs to another search"):
        make_searcher(space, problem, storage=storage, study="s")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sampler": "magic"}, r"no sampler 'magic' that can be used here; it has \["),
        ({"sampler_options": {"colour": "red"}}, "making sampler 'nsgaii' with options .*colour"),
        ({"storage": "sqlite:///x.sqlite"}, "give the study's name too"),
        ({"storage": "nowhere://x", "study": "s"}, "Optuna failed while opening study 's'"),
        ({"storage": "sqlite:////no/such/folder/x.sqlite", "study": "s"}, "Optuna failed while opening study 's'"),
        ({"storage": "journal:/no/such/folder/x.log", "study": "s"}, "Optuna failed while opening study 's'"),
    ],
)
def test_wrong_settings_are_refused(space: SearchSpace, problem: Problem, options: Options, message: str) -> None:
    with pytest.raises(NasError, match=message):
        make_searcher(space, problem, **options)


def test_sampler_that_cannot_do_several_objectives_says_so(space: SearchSpace, problem: Problem) -> None:
    assert {"nsgaii", "nsgaiii", "tpe", "gp", "random", "cmaes"} <= set(sampler_names())
    with pytest.raises(NasError, match="Optuna failed while"):
        make_searcher(space, problem, sampler="cmaes", sampler_options={}).ask(3)


def test_gaussian_process_sampler_goes_through(space: SearchSpace, problem: Problem, judge: Judge) -> None:
    searcher = make_searcher(space, problem, sampler="gp", sampler_options={"n_startup_trials": 6})
    assert len({*rounds(searcher, judge, 2), *searcher.ask(1)}) == 7


@pytest.fixture
def records() -> Iterator[list[logging.LogRecord]]:
    found: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = found.append  # type: ignore[method-assign]
    logging.getLogger("optuna").addHandler(handler)
    yield found
    logging.getLogger("optuna").removeHandler(handler)


def test_optuna_is_quiet_here_and_as_loud_as_before_elsewhere(
    space: SearchSpace, problem: Problem, judge: Judge, records: list[logging.LogRecord]
) -> None:
    before = optuna.logging.get_verbosity()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rounds(make_searcher(space, problem, sampler="tpe", sampler_options={"multivariate": True}), judge, 4)
    assert not records
    assert optuna.logging.get_verbosity() == before
