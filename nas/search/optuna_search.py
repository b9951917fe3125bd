"""Any of Optuna's samplers, on any storage it knows (Akiba et al. 2019)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from nas.candidate import Candidate
from nas.errors import NasError
from nas.objective import Problem
from nas.search.base import check_count, check_header, state_header
from nas.search.optuna_study import MARGINS, Parameters, StudyStore, make_sampler, optuna_errors
from nas.search.rows import pack, row_keys, rows_of, rows_of_keys, unpack
from nas.search.unseen import Unseen
from search_spaces import Architecture, SearchSpace

_REPEATS: Final = 8
"""Repeats of known architectures in a row after which one is drawn at random instead."""


class OptunaSearcher:
    """One of Optuna's samplers: nsgaii, nsgaiii, tpe, gp, random, ...

    Trials live in the storage, and a search whose storage outlives it goes on from there: trials that were running when
    it was killed are asked for again. Every trial's sampler is made afresh from the seed and the number of trials
    before it, so nothing that decides what comes next is kept in memory. An architecture that is sampled again is told
    its known result and never returned.

    Only one process searches on a study at a time; others are refused while it lives. ``SharedOptunaSearcher`` is for
    several. In a storage it is a study like any other, to be looked at in Optuna's dashboard while it grows.

    Args:
        space: what is searched.
        problem: objectives and limits; limits go to the samplers that can use them.
        rng: source of the seed.
        sampler: name of the sampler: its class in ``optuna.samplers`` in lower case, without ``Sampler``.
        sampler_options: keyword arguments of that class.
        storage: URL of a database, such as ``sqlite:///search.sqlite`` or ``postgresql+psycopg://...``, or
            ``journal:PATH``, a file that may lie on a network disk; in memory if None, and then all in ``state``.
        study: name of the study in the storage; needed where there is a storage.
        judged_by: names what results in the storage depend on; one study holds results of one kind.

    Raises:
        NasError: an unknown sampler or options that it does not have, a storage that cannot be opened, or a study of
            another search.
    """

    name = "optuna"

    def __init__(
        self,
        space: SearchSpace,
        problem: Problem,
        rng: np.random.Generator,
        *,
        sampler: str = "nsgaii",
        sampler_options: Mapping[str, Any] | None = None,
        storage: str | None = None,
        study: str | None = None,
        judged_by: str = "",
    ) -> None:
        if storage is not None and not study:
            raise NasError("optuna: a storage can hold many studies; give the study's name too")
        self._space = space
        self._problem = problem
        self._sampler, self._sampler_options = sampler, dict(sampler_options or {})
        self._seed = int(rng.integers(2**32))
        self._parameters = Parameters(space)
        self._header = {**state_header(self.name, space, problem), "sampler": sampler}
        if storage is not None:
            self._header["judged_by"] = judged_by
        self._next_sampler(0)  # wrong options are found out before anything is stored
        self._open(storage, study or "search")
        with optuna_errors(f"reading study {self._store.name!r}"):
            self._adopt()

    def _open(self, storage: str | None, study: str) -> None:
        self._found(StudyStore(storage, study, self._problem.objectives))

    def _found(self, store: StudyStore) -> None:
        """Make a study ours, or go on with it."""
        self._store = store
        self._seed = store.claim(self._header, self._seed)
        # Not only for what it samples: it stores by how much limits are broken when a trial is told.
        store.study.sampler = self._next_sampler(0)

    def _next_sampler(self, number: int) -> BaseSampler:
        # A quasi-random sequence goes on only under the seed that it started with.
        seed = (
            self._seed if self._sampler == "qmc" else np.random.SeedSequence([self._seed, number]).generate_state(1)[0]
        )
        with optuna_errors(f"making sampler {self._sampler!r} with options {self._sampler_options}"):
            return make_sampler(self._sampler, self._sampler_options, int(seed), constrained=bool(self._problem.limits))

    def _adopt(self) -> None:
        """Take over what is in the storage."""
        for trial, key in self._read():
            if trial.state == TrialState.RUNNING:
                self._file(key, trial.number)
        self._again = list(self._pending)

    def _read(self) -> list[tuple[FrozenTrial, bytes]]:
        """Learn what is in the storage; every running and every complete trial with its key, in their order."""
        self._unseen = Unseen(self._space)
        self._results: dict[bytes, tuple[list[float], list[float]]] = {}
        self._pending: dict[bytes, list[int]] = {}
        found: list[tuple[FrozenTrial, bytes]] = []
        for trial in self._store.study.get_trials(deepcopy=False):
            choices = self._parameters.choices(trial.params)
            if trial.state == TrialState.RUNNING and choices is None:
                # Killed between two suggestions; the next one starts from the same seed.
                self._store.study.tell(trial.number, state=TrialState.FAIL)
            elif trial.state in (TrialState.RUNNING, TrialState.COMPLETE) and choices is not None:
                key = row_keys(np.array([choices]))[0]
                self._unseen.add([key])
                if trial.state == TrialState.COMPLETE:
                    self._results.setdefault(key, (list(trial.values), list(trial.user_attrs[MARGINS])))
                found.append((trial, key))
        self._count = len(found)
        return found

    def _file(self, key: bytes, number: int) -> None:
        """Put a running trial with those of its architecture; told at once where the result is known."""
        if key in self._results:
            self._store.tell(number, *self._results[key])
        else:
            self._pending.setdefault(key, []).append(number)

    def ask(self, count: int) -> list[Architecture]:
        """New architectures; see ``Searcher.ask``."""
        check_count(count)
        keys, self._again = self._again[:count], self._again[count:]
        with optuna_errors(f"sampling with {self._sampler!r}"):
            while len(keys) < count and (key := self._sample()) is not None:
                keys.append(key)
        return self._space.architectures(rows_of_keys(keys, len(self._space.decisions)))

    def _sample(self) -> bytes | None:
        """A new architecture, None where there is none left."""
        for _ in range(_REPEATS):
            if len(self._unseen) >= self._space.size:
                return None
            key, number = self._trial()
            new = key not in self._unseen
            self._unseen.add([key])
            self._file(key, number)
            if new:
                return key
        drawn = self._unseen.draw(np.random.default_rng([self._seed, self._count]), 1)
        return self._enqueued(drawn) if len(drawn) else None

    def _trial(self) -> tuple[bytes, int]:
        """Key and number of a new trial."""
        self._store.study.sampler = self._next_sampler(self._count)
        trial = self._store.study.ask()
        key = row_keys(np.array([self._parameters.suggest(trial)]))[0]
        self._count += 1
        return key, trial.number

    def _enqueued(self, row: NDArray[np.int64]) -> bytes:
        """Key of a pending trial of a given row, shape ``(1, decisions)``."""
        self._store.study.enqueue_trial(self._parameters.params(row[0].tolist()))
        wanted = row_keys(row)[0]
        while True:
            key, number = self._trial()
            self._file(key, number)
            if key == wanted:
                return key
            if key not in self._unseen:  # somebody else had enqueued it, or a process that was killed then
                self._unseen.add([key])
                self._again.append(key)

    def tell(self, candidates: Sequence[Candidate]) -> None:
        """Results; see ``Searcher.tell``."""
        rows = rows_of(self._space, [candidate.arch for candidate in candidates])
        scores = self._problem.scores(candidates)
        with optuna_errors("storing results"):
            columns = (candidates, rows, row_keys(rows), scores.costs, scores.margins)
            for candidate, row, key, costs, margins in zip(*columns, strict=True):
                if key in self._results:
                    continue
                if key not in self._pending:
                    self._unseen.add([key])
                    self._enqueued(row[None])
                self._results[key] = (self._values(costs), margins.tolist())
                self._finish(key, candidate)
        told = set(row_keys(rows))
        self._again = [key for key in self._again if key not in told]

    def _finish(self, key: bytes, _candidate: Candidate) -> None:
        """Tell every trial of an architecture its result."""
        for number in self._pending.pop(key):
            self._store.tell(number, *self._results[key])

    def _values(self, costs: NDArray[np.float64]) -> list[float]:
        """Objectives in their own units; one that is unknown counts as the worst so far."""
        values = []
        for column, (objective, cost) in enumerate(zip(self._problem.objectives, costs.tolist(), strict=True)):
            if np.isfinite(cost):
                values.append(objective.sign * cost)
            else:
                told = [known[column] for known, _ in self._results.values()]
                values.append(max(told, key=lambda value: objective.sign * value, default=0.0))
        return values

    def state(self) -> dict[str, Any]:
        """See ``Searcher.state``; a study in a storage is left there."""
        state: dict[str, Any] = {**self._header, "study": self._store.name, "seed": self._seed}
        if self._store.in_memory:
            return {**state, "trials": self._store.dump()}
        return {**state, "told": pack(list(self._results))}

    def restore(self, state: Mapping[str, Any]) -> None:
        """See ``Searcher.restore``.

        A study in a storage is left as it is. Results that it got after the state was taken are asked for again too:
        whoever kept the state may not have kept them.
        """
        check_header(state, {**self._header, "study": self._store.name})
        try:
            if self._store.in_memory:
                self._seed = int(state["seed"])
                self._open(None, self._store.name)
                with optuna_errors("restoring the search's state"):
                    self._store.load(state["trials"], self._parameters)
                    self._adopt()
            else:
                told = set(unpack(state["told"], len(self._space.decisions)))
                if not told <= self._results.keys():
                    raise NasError(
                        f"the Optuna study {self._store.name!r} lacks results that it was told; see whether its "
                        "storage is elsewhere (a file's path without a leading / begins in the current directory)"
                    )
                self._resume(told)
        except (AttributeError, LookupError, OverflowError, TypeError, ValueError) as error:
            raise NasError(f"the saved state of the optuna search is damaged: {error!r}") from error

    def _resume(self, told: Set[bytes]) -> None:
        """Ask again for what is not among what was told when the state was taken."""
        self._again = [key for key in self._unseen.keys if key not in told]
