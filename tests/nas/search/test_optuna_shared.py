"""Several searchers on one study: nobody's work is done twice, nobody's is lost, and all learn from all."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from nas.candidate import Candidate
from nas.errors import NasError
from nas.objective import Limit, Problem
from nas.search import SharedOptunaSearcher, get_searcher
from nas.search.optuna_shared import CANDIDATE
from nas.search.study_lock import open_storage
from nas.search.study_sharing import Sharing
from search_spaces import Architecture, SearchSpace

Judge = Callable[[Sequence[Architecture]], list[Candidate]]
Worker = Callable[..., SharedOptunaSearcher]
on_a_journal = pytest.mark.parametrize("storage", ["journal:{}.log"], indirect=True)
NSGAII = {"sampler": "nsgaii", "sampler_options": {"population_size": 6}}


def make(space: SearchSpace, problem: Problem, storage: object, **options: object) -> SharedOptunaSearcher:
    given = {**NSGAII, "shared": True, "storage": storage, "study": "s", "judged_by": "weights", **options}
    rng = np.random.default_rng(0)
    searcher = get_searcher("optuna", space, problem.objectives, problem.limits, rng=rng, options=given)
    assert isinstance(searcher, SharedOptunaSearcher)
    return searcher


@pytest.fixture(params=["sqlite:///{}.sqlite", "journal:{}.log", "postgresql"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgresql_url"))
    return str(request.param).format(tmp_path / "search")


@pytest.fixture
def file(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'search.sqlite'}"


@pytest.fixture
def worker(space: SearchSpace, problem: Problem, storage: str) -> Iterator[Worker]:
    """Makes workers on one study, which ends with the test."""
    with ExitStack() as made:

        def new(**options: object) -> SharedOptunaSearcher:
            searcher = make(space, problem, storage, **options)
            made.callback(searcher.leave)
            return searcher

        yield new
    with quiet():
        optuna.delete_study(study_name="s", storage=open_storage(storage))


@contextmanager
def quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def load(storage: str) -> optuna.Study:
    with quiet():
        return optuna.load_study(study_name="s", storage=open_storage(storage))


def check_all_told_once(storage: str, told: Sequence[Candidate]) -> None:
    """Every architecture has one result in the storage, whole and as it was told, and nothing runs any more."""
    trials = load(storage).trials
    assert not [trial.number for trial in trials if trial.state == TrialState.RUNNING]
    kept = [Candidate.from_json(trial.user_attrs[CANDIDATE]) for trial in trials if CANDIDATE in trial.user_attrs]
    assert sorted(candidate.arch.key for candidate in kept) == sorted(candidate.arch.key for candidate in told)
    assert {candidate.arch: candidate for candidate in kept} == {candidate.arch: candidate for candidate in told}


def test_two_share_a_study(worker: Worker, judge: Judge, storage: str) -> None:
    first, second = worker(), worker()
    told: list[Candidate] = []
    for _ in range(2):
        asked = [(searcher, searcher.ask(3)) for searcher in (first, second)]
        assert first.others == 0 or second.others > 0
        for searcher, archs in asked:
            candidates = judge(archs)
            searcher.tell(candidates)
            told += candidates
    assert len({candidate.arch for candidate in told}) == 12
    check_all_told_once(storage, told)
    for searcher in (first, second):
        assert searcher.share(1, total=12) == []
        assert searcher.others == 0
        assert {candidate.arch for candidate in searcher.news()} == {candidate.arch for candidate in told}
        assert searcher.news() == []


def test_what_a_process_leaves_is_taken_over_by_one_other(worker: Worker, judge: Judge, storage: str) -> None:
    first, second, third = worker(), worker(), worker()
    left = first.ask(4)
    first.tell(judge(left[:1]))
    assert not set(second.ask(2)) & set(left)
    first.leave()
    assert second.ask(2) == left[1:3]
    assert third.ask(1) == left[3:]
    assert not set(worker().ask(3)) & set(left)
    assert judge(left[:1])[0] in third.news()


@on_a_journal
def test_a_result_told_by_two_counts_once(worker: Worker, judge: Judge, storage: str) -> None:
    first, second = worker(), worker()
    archs = first.ask(2)
    first.leave()  # as if its connection had been cut
    assert second.ask(2) == archs
    first.tell(judge(archs))
    second.tell(judge(archs))
    check_all_told_once(storage, judge(archs))


@on_a_journal
def test_the_budget_is_the_studys(worker: Worker, judge: Judge) -> None:
    first, second = worker(), worker()
    asked = first.share(4, total=6)
    assert len(asked) == 4
    others = second.share(4, total=6)
    assert len(others) == 2
    assert first.share(4, total=6) == []
    assert first.others == 2
    second.leave()
    assert first.share(4, total=6) == others


@on_a_journal
def test_wanted_ones_come_first_and_to_one_process(worker: Worker, space: SearchSpace) -> None:
    wanted = space.architectures(space.sample_indices(np.random.default_rng(5), 12))
    wanted = list(dict.fromkeys(space.canonical(arch) for arch in wanted))[:4]
    first, second = worker(), worker()
    assert first.share(3, wanted=wanted) == wanted[:3]
    assert second.share(3, total=5, wanted=wanted)[:1] == wanted[3:]
    assert len(set(second.share(3, wanted=wanted)) & set(wanted)) == 0


@on_a_journal
def test_enqueued_by_somebody_else_is_asked_for_too(worker: Worker, space: SearchSpace, storage: str) -> None:
    first = worker()
    person, wanted = space.architectures(np.array([[0, 0, 0, 0, 1], [0, 0, 0, 0, 2]]))
    load(storage).enqueue_trial({"depth": 0, "only": 0, "width": 1})
    assert first.share(1, wanted=[wanted]) == [wanted]
    assert first.share(1) == [person]


def test_killed_within_its_turn(worker: Worker, space: SearchSpace, judge: Judge, storage: str) -> None:
    first = worker()
    archs = first.ask(2)
    study = load(storage)
    study.ask().suggest_int("depth", 0, 2)
    small = space.architectures(np.array([[0, 0, 0, 0, width] for width in range(4)]))
    whole = next(arch for arch in small if arch not in archs)
    study.enqueue_trial({"depth": 0, "only": 0, "width": whole.choices[-1]})
    unsigned = study.ask()
    for name, last in (("depth", 2), ("only", 0), ("width", 3)):
        unsigned.suggest_int(name, 0, last)
    first.tell(judge(archs))
    later = first.ask(3)
    assert later[0] == whole and not set(later) & set(archs)
    first.tell(judge(later))
    check_all_told_once(storage, judge([*archs, *later]))
    assert [trial.state for trial in load(storage).trials].count(TrialState.FAIL) == 1


def test_limits_are_stored_by_whoever_tells(space: SearchSpace, problem: Problem, judge: Judge, tmp_path: Path) -> None:
    tight, storage = (
        Problem(problem.objectives, (Limit("latency_s.toy", at_most=3.0),)),
        f"journal:{tmp_path / 's.log'}",
    )
    first = make(space, tight, storage)
    archs = first.ask(6)
    first.leave()
    second = make(space, tight, storage)
    assert second.ask(6) == archs
    second.tell(judge(archs))
    trials = load(storage).trials
    assert any(trial.user_attrs["margins"][0] > 0 for trial in trials)
    assert all(list(trial.system_attrs["constraints"]) == trial.user_attrs["margins"] for trial in trials)


@on_a_journal
def test_state_is_of_one_study(worker: Worker, judge: Judge) -> None:
    first = worker()
    first.tell(judge(first.ask(2)))
    state = json.loads(json.dumps(first.state()))
    second = worker()
    second.restore(state)
    assert second.ask(1) != first.ask(1)
    with pytest.raises(NasError, match="the saved search state is of judged_by 'others'"):
        worker().restore({**state, "judged_by": "others"})
    with pytest.raises(NasError, match="damaged"):
        worker().restore({key: value for key, value in state.items() if key != "told"})


def test_a_storage_elsewhere_is_told(space: SearchSpace, problem: Problem, judge: Judge, tmp_path: Path) -> None:
    first = make(space, problem, f"journal:{tmp_path / 'one.log'}")
    first.tell(judge(first.ask(2)))
    elsewhere = make(space, problem, f"journal:{tmp_path / 'two.log'}")
    with pytest.raises(NasError, match="lacks results that it was told; see whether its storage is elsewhere"):
        elsewhere.restore(first.state())


@on_a_journal
def test_other_weights_are_refused(worker: Worker, judge: Judge) -> None:
    first = worker()
    first.tell(judge(first.ask(1)))
    with pytest.raises(NasError, match=r"its results come from other weights, .* in a copy of the run directory"):
        worker(judged_by="other weights")


def test_alone_or_together_is_decided_at_the_beginning(
    space: SearchSpace, problem: Problem, judge: Judge, file: str
) -> None:
    make(space, problem, file).leave()
    options = {**NSGAII, "storage": file, "judged_by": "weights"}
    rng = np.random.default_rng(0)

    def alone(study: str) -> None:
        get_searcher("optuna", space, problem.objectives, problem.limits, rng=rng, options={**options, "study": study})

    with pytest.raises(NasError, match="every process that searches on a study has `shared: true`"):
        alone("s")
    alone("other")
    with pytest.raises(NasError, match="another process searches alone on the Optuna study 'other'"):
        make(space, problem, file, study="other")


def test_lock_files_are_removed(space: SearchSpace, problem: Problem, judge: Judge, tmp_path: Path) -> None:
    for _ in range(2):
        searcher = make(space, problem, f"journal:{tmp_path / 'search.log'}")
        searcher.tell(judge(searcher.ask(1)))
        searcher.leave()
    assert len(list(tmp_path.glob(".search.log.*"))) == 2  # for turns, and for whoever searches alone


def test_a_living_worker_is_seen_by_others_alone_while_it_lives(file: str) -> None:
    first, second = Sharing(file, "s"), Sharing(file, "s")
    assert not second.lives(first.worker) and not second.lives(None)
    first.join()
    assert second.lives(first.worker) and not Sharing(file, "t").lives(first.worker)
    first.leave()
    assert not second.lives(first.worker)


def test_a_turn_is_ended_before_the_next(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nas.search.study_sharing._PATIENCE_S", 0.0)
    with Sharing(file, "s").turn():
        with Sharing(file, "t").turn():
            pass
        with (
            pytest.raises(NasError, match=r"another process has been asking the Optuna study 's'"),
            Sharing(file, "s").turn(),
        ):
            pass


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shared": "yes"}, "shared is 'yes'; give true or false"),
        ({"storage": None}, "give storage and study"),
        ({"study": ""}, "give storage and study"),
        ({"storage": "mysql://nowhere/x"}, "'mysql' has no locks by which processes know of one another"),
        ({"storage": "sqlite:////no/such/folder/x.sqlite"}, "there is no folder /no/such/folder"),
        ({"sampler": "magic"}, "no sampler 'magic'"),
        ({"colour": "red"}, "search.options.colour: strategy .* has no such option"),
    ],
)
def test_wrong_settings_are_refused(
    space: SearchSpace, problem: Problem, file: str, options: dict[str, object], message: str
) -> None:
    with pytest.raises(NasError, match=message):
        make(space, problem, **{"storage": file, **options})
