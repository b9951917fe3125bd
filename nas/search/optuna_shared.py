"""One Optuna study that several processes search on at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any, Final

import numpy as np
from optuna.trial import TrialState

from nas.candidate import Candidate
from nas.errors import NasError
from nas.objective import Problem
from nas.search.base import check_count
from nas.search.optuna_search import OptunaSearcher
from nas.search.optuna_study import SHARED, StudyStore, optuna_errors
from nas.search.registry import register_searcher
from nas.search.rows import row_keys, rows_of, rows_of_keys
from nas.search.study_sharing import Sharing
from search_spaces import Architecture, SearchSpace

WORKER: Final = "worker"
"""User attribute of a trial: who judges it."""

CANDIDATE: Final = "candidate"
"""User attribute of a trial: all that is known of the architecture, as ``Candidate.to_json`` gives it."""


@register_searcher("optuna")
def make_optuna(
    space: SearchSpace,
    problem: Problem,
    rng: np.random.Generator,
    *,
    sampler: str = "nsgaii",
    sampler_options: Mapping[str, Any] | None = None,
    storage: str | None = None,
    study: str | None = None,
    judged_by: str = "",
    shared: bool = False,
) -> OptunaSearcher:
    """One of Optuna's samplers: nsgaii, nsgaiii, tpe, gp, random, ...

    Args:
        space: what is searched.
        problem: objectives and limits.
        rng: source of the seed.
        sampler: name of the sampler: its class in ``optuna.samplers`` in lower case, without ``Sampler``.
        sampler_options: keyword arguments of that class.
        storage: URL of a database, such as ``sqlite:///search.sqlite`` or ``postgresql+psycopg://...``, or
            ``journal:PATH``, a file that may lie on a network disk; in memory if None, and then all in ``state``.
        study: name of the study in the storage; needed where there is a storage.
        judged_by: names what results in the storage depend on; one study holds results of one kind.
        shared: several processes search on the study.

    Raises:
        NasError: options that cannot be used.
    """
    return (SharedOptunaSearcher if shared else OptunaSearcher)(
        space,
        problem,
        rng,
        sampler=sampler,
        sampler_options=sampler_options,
        storage=storage,
        study=study,
        judged_by=judged_by,
    )


class SharedOptunaSearcher(OptunaSearcher):
    """One of several processes that search on a study, each of which learns from all.

    The storage is the truth: every call begins with reading it, and the trials of a process that is gone are taken over
    by the next one that asks. What is asked for here is asked for by nobody else who lives. The order of proposals
    depends on who is quicker, so a shared search is not repeatable.

    Args:
        space: what is searched.
        problem: objectives and limits.
        rng: source of the study's seed, where it begins here.
        storage: as ``OptunaSearcher`` has it; a file or PostgreSQL.
        study: name of the study.
        options: others of ``OptunaSearcher``.

    Raises:
        NasError: as ``OptunaSearcher``; or a process that searches alone is on the study, or began it.
    """

    def __init__(
        self,
        space: SearchSpace,
        problem: Problem,
        rng: np.random.Generator,
        *,
        storage: str | None = None,
        study: str | None = None,
        **options: Any,  # noqa: ANN401 (the class above has their types)
    ) -> None:
        if storage is None or not study:
            raise NasError("optuna: shared is true, and processes share a study in a storage; give storage and study")
        self._sharing = Sharing(storage, study)
        self._others: set[bytes] = set()
        self._orphans: list[bytes] = []
        self._published: dict[bytes, None] = {}
        self._news: list[Candidate] = []
        self._again: list[bytes] = []
        super().__init__(space, problem, rng, storage=storage, study=study, **options)

    @property
    def others(self) -> int:
        """How many architectures other processes were judging when this one last asked or told."""
        return len(self._others)

    @property
    def study(self) -> str:
        """Name of the study."""
        return self._store.name

    def _open(self, storage: str | None, study: str) -> None:
        self._header[SHARED] = True
        with optuna_errors(f"opening study {study!r}"), self._sharing.turn(), self._sharing.founding():
            self._found(StudyStore(storage, study, self._problem.objectives, alone=False))
            self._sharing.join()

    def _adopt(self) -> None:
        with self._sharing.turn():
            self._look_around()

    def _look_around(self) -> None:
        """Learn what others did, and what the dead left; called on our turn.

        A trial that runs unsigned, or between two suggestions, was left by a process that died on its turn.
        """
        running: dict[bytes, str | None] = {}
        for trial, key in self._read():
            if trial.state == TrialState.RUNNING:
                self._file(key, trial.number)
                running.setdefault(key, trial.user_attrs.get(WORKER))
            elif CANDIDATE in trial.user_attrs and key not in self._published:
                self._published[key] = None
                self._news.append(Candidate.from_json(trial.user_attrs[CANDIDATE]))
        self._others, self._orphans = set(), []
        lives: dict[str | None, bool] = {self._sharing.worker: True}
        for key in self._pending:
            worker = running[key]  # of the first; later ones are repeats, told with it
            if worker not in lives:
                lives[worker] = self._sharing.lives(worker)
            if not lives[worker]:
                self._orphans.append(key)
            elif worker != self._sharing.worker:
                self._others.add(key)
        self._again = [key for key in self._again if key in self._pending]

    def ask(self, count: int) -> list[Architecture]:
        """Architectures that no process has asked for, or whose process is gone; see ``Searcher.ask``."""
        return self.share(count)

    def share(self, count: int, *, total: int | None = None, wanted: Sequence[Architecture] = ()) -> list[Architecture]:
        """Up to ``count`` architectures that this process alone is to judge.

        Args:
            count: how many at most.
            total: how many the study may come to, whoever judges them; without end if left out.
            wanted: what to take before anything is sampled; those that some process has are passed over.
        """
        check_count(count)
        with optuna_errors("asking a shared study"), self._sharing.turn():
            self._look_around()
            keys = [*self._again, *self._orphans][:count]
            self._again = self._again[count:]
            for key in keys:
                self._store.note(self._pending[key][0], WORKER, self._sharing.worker)
            room = count - len(keys) if total is None else min(count - len(keys), total - len(self._unseen))
            most = len(keys) + max(0, room)
            rows = rows_of(self._space, wanted)
            for row, key in zip(rows, row_keys(rows), strict=True):
                if len(keys) < most and key not in self._unseen:
                    self._unseen.add([key])
                    keys.append(self._enqueued(row[None]))
            while len(keys) < most and (sampled := self._sample()) is not None:
                keys.append(sampled)
        return self._space.architectures(rows_of_keys(keys, len(self._space.decisions)))

    def news(self) -> list[Candidate]:
        """What was told by whomever, this process included, and has not been given here before."""
        news, self._news = self._news, []
        return news

    def leave(self) -> None:
        """End this process's part; what it was asked and has not told, others take over."""
        self._sharing.leave()

    def _trial(self) -> tuple[bytes, int]:
        key, number = super()._trial()
        self._store.note(number, WORKER, self._sharing.worker)
        return key, number

    def tell(self, candidates: Sequence[Candidate]) -> None:
        """Results; see ``Searcher.tell``. Where another process was quicker, its result counts."""
        with optuna_errors("telling a shared study"), self._sharing.turn():
            self._look_around()
            super().tell(candidates)

    def _finish(self, key: bytes, candidate: Candidate) -> None:
        self._store.note(self._pending[key][0], CANDIDATE, candidate.to_json())
        super()._finish(key, candidate)

    def _resume(self, _told: Set[bytes]) -> None:
        """Nothing is asked again: what was told meanwhile is news, and what runs is somebody's, or was left."""
