"""Optuna's side of the Optuna searcher: samplers by name, studies on any storage, quiet and with our own errors."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import optuna
from optuna.distributions import CategoricalDistribution, IntDistribution
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from nas.errors import NasError
from nas.objective import Objective
from nas.search.study_lock import JOURNAL, hold, open_storage
from nas.search.study_sharing import check_locks
from search_spaces import SearchSpace

MARGINS = "margins"
"""User attribute of a trial: how far it is beyond each limit."""

SHARED = "shared"
"""Part of a study's owner: several processes search on it."""

_REMEDIES = {
    frozenset(
        {"judged_by"}
    ): "its results come from other weights, predictors, evaluation images or settings than those "
    "of this run; go on in a copy of the run directory that began it, made after `nas fit`, or ",
    frozenset({SHARED}): "either every process that searches on a study has `shared: true` beside its name, from the "
    "beginning, or none has; ",
}
"""What to do about a study whose owner differs in this alone."""

_ABSTRACT = ("base", "basega", "partialfixed", "grid")  # the last two need a search space of their own


_FAILURES = (
    optuna.exceptions.OptunaError,
    SQLAlchemyError,
    ImportError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)


@contextmanager
def optuna_errors(doing: str) -> Iterator[None]:
    """Optuna keeps quiet inside, and what it raises becomes an error of ours.

    Raises:
        NasError: Optuna, its storage or one of its samplers failed.
    """
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            # Experimental features are asked for by name here; constraints_func is what Optuna 4 to 6 have in common.
            warnings.simplefilter("ignore")
            yield
    except _FAILURES as error:
        raise NasError(f"Optuna failed while {doing}: {error}") from error
    finally:
        optuna.logging.set_verbosity(verbosity)


def sampler_names() -> list[str]:
    """Names that ``make_sampler`` knows: ``nsgaii``, ``nsgaiii``, ``tpe``, ``gp``, ``random``, ..."""
    return sorted(set(_sampler_classes()) - set(_ABSTRACT))


def _sampler_classes() -> dict[str, type[optuna.samplers.BaseSampler]]:
    suffix = "Sampler"
    classes = (getattr(optuna.samplers, name) for name in optuna.samplers.__all__ if name.endswith(suffix))
    return {cls.__name__.removesuffix(suffix).lower(): cls for cls in classes}


def make_sampler(name: str, options: Mapping[str, Any], seed: int, *, constrained: bool) -> optuna.samplers.BaseSampler:
    """One of Optuna's samplers.

    Args:
        name: one of ``sampler_names()``.
        options: keyword arguments of the sampler's class.
        seed: of the sampler's own randomness.
        constrained: tell it of limits, where it can use them; one that cannot proposes as if there were none.

    Raises:
        NasError: an unknown name.
        TypeError: options that the sampler does not have.
    """
    if name not in sampler_names():
        raise NasError(f"Optuna has no sampler {name!r} that can be used here; it has {sampler_names()}")
    cls = _sampler_classes()[name]
    given: dict[str, Any] = {"seed": seed, **options}
    if constrained and "constraints_func" in inspect.signature(cls).parameters:
        given["constraints_func"] = _margins
    return cls(**given)


def check_storage(url: object, *, shared: bool = False) -> str:
    """Check that a database can hold studies; the result is the URL of one in memory that stands in for it.

    Args:
        url: what the config gives.
        shared: several processes are to search on one of its studies.

    Raises:
        NasError: no URL, a driver that is missing, a database that cannot be opened, or one without the locks that
            sharing needs.
    """
    if not isinstance(url, str):
        raise NasError(
            f"optuna: storage is {url!r}; give the URL of a database, such as sqlite:///search.sqlite, or a file as "
            f"{JOURNAL}search.log"
        )
    with optuna_errors("opening its storage"):
        open_storage(url)
    if shared:
        check_locks(url)
    return "sqlite://"


def _margins(trial: FrozenTrial) -> Sequence[float]:
    margins: Sequence[float] = trial.user_attrs[MARGINS]
    return margins


def _index(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError(f"a decision's option index is {value!r}")
    return value


@dataclass(frozen=True)
class Parameters:
    """Decisions of a space as parameters of a trial, whose values are option indices."""

    space: SearchSpace

    @cached_property
    def distributions(self) -> dict[str, IntDistribution | CategoricalDistribution]:
        """Numbers have an order; other options have none."""
        return {
            decision.name: CategoricalDistribution(tuple(range(len(decision.options))))
            if any(isinstance(option, str) for option in decision.options)
            else IntDistribution(0, len(decision.options) - 1)
            for decision in self.space.decisions
        }

    def suggest(self, trial: optuna.Trial) -> tuple[int, ...]:
        """Canonical choices, with only those decisions suggested that matter."""
        taken: dict[str, int] = {}
        for decision in self.space.decisions:
            condition = decision.condition
            if condition is None or taken.get(condition.decision) in condition.options:
                distribution = self.distributions[decision.name]
                if isinstance(distribution, IntDistribution):
                    taken[decision.name] = trial.suggest_int(decision.name, distribution.low, distribution.high)
                else:
                    taken[decision.name] = _index(trial.suggest_categorical(decision.name, distribution.choices))
        return tuple(taken.get(decision.name, 0) for decision in self.space.decisions)

    def params(self, choices: Sequence[int]) -> dict[str, int]:
        """Parameters of canonical choices."""
        taken: dict[str, int] = {}
        for decision, choice in zip(self.space.decisions, choices, strict=True):
            condition = decision.condition
            if condition is None or taken.get(condition.decision) in condition.options:
                taken[decision.name] = choice
        return taken

    def choices(self, params: Mapping[str, Any]) -> tuple[int, ...] | None:
        """Choices of a trial's parameters; None where some were never suggested."""
        choices = tuple(int(params.get(decision.name, 0)) for decision in self.space.decisions)
        return choices if self.params(choices).keys() == params.keys() else None


def _remedy(found: Mapping[str, Any], owner: Mapping[str, Any]) -> str:
    differing = {name for name in found.keys() | owner.keys() if found.get(name) != owner.get(name)}
    return _REMEDIES.get(frozenset(differing - {"seed"}), "")


class StudyStore:
    """A study and the storage below it.

    Args:
        url: the storage; in memory if None.
        name: of the study.
        objectives: of the study.
        alone: keep every other process from it for as long as this one lives.

    Raises:
        NasError: the storage cannot be opened, or another process searches on the study.
    """

    def __init__(self, url: str | None, name: str, objectives: Sequence[Objective], *, alone: bool = True) -> None:
        self.in_memory = url is None
        self.name = name
        self._names = [objective.metric for objective in objectives]
        with optuna_errors(f"opening study {name!r}"):
            self._storage: BaseStorage = InMemoryStorage() if url is None else open_storage(url)
            if url is not None and alone:
                hold(url, name)
            self.study = optuna.create_study(
                storage=self._storage,
                study_name=name,
                directions=[objective.direction for objective in objectives],
                load_if_exists=True,
            )
        self._id = self._storage.get_study_id_from_name(name)

    def claim(self, owner: Mapping[str, Any], seed: int) -> int:
        """Make the study ours, or check that it is; returns the seed that it was made with.

        Raises:
            NasError: the study is another search's.
        """
        found = self.study.user_attrs.get("hwnas")
        if found is None and not self.study.get_trials(deepcopy=False):
            found = {**owner, "seed": seed}
            self.study.set_user_attr("hwnas", found)
            with optuna_errors(f"naming the objectives of study {self.name!r}"):
                self.study.set_metric_names(self._names)  # for whoever looks at it in Optuna's dashboard
        if found is None or {**found, "seed": None} != {**owner, "seed": None}:
            raise NasError(
                f"the Optuna study {self.name!r} in this storage belongs to another search ({found}); "
                f"this one is {owner}: {_remedy(found or {}, owner)}choose another study name"
            )
        return int(found["seed"])

    def note(self, number: int, name: str, value: object) -> None:
        """Keep something with a trial that is not finished, in values that ``json`` writes."""
        trial_id = self._storage.get_trial_id_from_study_id_trial_number(self._id, number)
        self._storage.set_trial_user_attr(trial_id, name, value)

    def tell(self, number: int, values: Sequence[float], margins: Sequence[float]) -> None:
        """Finish a trial."""
        self.note(number, MARGINS, list(margins))
        try:
            self.study.tell(number, list(values))
        except RuntimeError:
            # A sampler that has been through the whole space asks for a stop, which an ask-and-tell study cannot do.
            trial_id = self._storage.get_trial_id_from_study_id_trial_number(self._id, number)
            if not self._storage.get_trial(trial_id).state.is_finished():
                raise

    def dump(self) -> dict[str, Any]:
        """Everything in an in-memory storage, in values that ``json`` writes."""
        trials = [
            [trial.state.name, trial.params, trial.values, trial.user_attrs, trial.system_attrs]
            for trial in self.study.get_trials(deepcopy=False)
        ]
        return {"attributes": self._storage.get_study_system_attrs(self._id), "trials": trials}

    def load(self, dump: Mapping[str, Any], parameters: Parameters) -> None:
        """The reverse of ``dump``, into a study without trials."""
        for name, value in dump["attributes"].items():
            self._storage.set_study_system_attr(self._id, name, value)
        for state, params, values, user_attrs, system_attrs in dump["trials"]:
            trial = optuna.trial.create_trial(
                state=TrialState[state],
                params=params,
                distributions={name: parameters.distributions[name] for name in params},
                values=values,
                user_attrs=user_attrs,
                system_attrs=system_attrs,
            )
            self.study.add_trial(trial)
