"""Every searcher by its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

import numpy as np

from nas.errors import NasError
from nas.objective import Limit, Objective, Problem
from nas.search.base import Searcher
from search_spaces import SearchSpace
from search_spaces.nearest import nearest
from search_spaces.options import option_problem

SearcherFactory: TypeAlias = Callable[..., Searcher]
_Factory = TypeVar("_Factory", bound=SearcherFactory)
_FACTORIES: dict[str, SearcherFactory] = {}


def register_searcher(name: str) -> Callable[[_Factory], _Factory]:
    """Decorator: the class under it, called with ``(space, problem, rng, **options)``, is the searcher of this name."""

    def add(factory: _Factory) -> _Factory:
        if name in _FACTORIES:
            raise NasError(f"a searcher named {name!r} is registered already; choose another name")
        _FACTORIES[name] = factory
        return factory

    return add


def searcher_names() -> list[str]:
    """Names that ``get_searcher`` knows."""
    return sorted(_FACTORIES)


def describe_searcher(name: str) -> str:
    """One line about a searcher."""
    return (searcher_factory(name).__doc__ or "").strip().split("\n")[0]


def get_searcher(
    name: str,
    space: SearchSpace,
    objectives: Sequence[Objective],
    limits: Sequence[Limit] = (),
    *,
    rng: np.random.Generator,
    options: Mapping[str, Any] | None = None,
) -> Searcher:
    """Make a searcher.

    Args:
        name: one of ``searcher_names()``.
        space: what is searched.
        objectives: what is traded off.
        limits: hard limits.
        rng: source of the searcher's own randomness; the same generator state gives the same search.
        options: settings of that searcher, such as ``population`` of ``nsga2`` or ``sampler`` of ``optuna``.

    Raises:
        NasError: an unknown name, settings that the searcher does not have or cannot use, or a space without choices.
    """
    factory = searcher_factory(name)
    check_searcher_options(name, options or {})
    _check_space(space)
    problem = Problem(tuple(objectives), tuple(limits))
    try:
        return factory(space, problem, rng, **(options or {}))
    except TypeError as error:
        raise NasError(f"searcher {name!r} cannot be made with options {dict(options or {})}: {error}") from error


def check_searcher_options(name: str, options: Mapping[str, Any]) -> None:
    """Check that a searcher has these settings, as far as its signature tells.

    Raises:
        NasError: an unknown name, or a setting that the searcher does not have or of another type.
    """
    if problem := option_problem(
        "search.options", f"strategy {name!r}", searcher_factory(name), options, given_first=3
    ):
        raise NasError(problem)


def _check_space(space: SearchSpace) -> None:
    if not space.decisions:
        raise NasError(f"space {space.name!r} has no decisions: there is nothing to search")
    empty = [decision.name for decision in space.decisions if not decision.options]
    if empty:
        raise NasError(f"space {space.name!r} is empty: decisions {empty} have no options; give each at least one")


def searcher_factory(name: str) -> SearcherFactory:
    """What makes a searcher; its keyword arguments are the searcher's options.

    Raises:
        NasError: an unknown name.
    """
    if name not in _FACTORIES:
        raise NasError(f"there is no searcher {name!r}{nearest(name, searcher_names())}")
    return _FACTORIES[name]
