"""Every space by its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from search_spaces.errors import SpaceError
from search_spaces.nearest import nearest
from search_spaces.options import option_problem
from search_spaces.space import SearchSpace
from search_spaces.user_code import find_factory

SpaceFactory = Callable[..., SearchSpace]
FactoryT = TypeVar("FactoryT", bound=SpaceFactory)
_FACTORIES: dict[str, SpaceFactory] = {}


def register_space(name: str) -> Callable[[FactoryT], FactoryT]:
    """Decorator: the factory under it makes the space of this name; its first docstring line describes it."""

    def add(factory: FactoryT) -> FactoryT:
        if name in _FACTORIES:
            raise SpaceError(f"a space named {name!r} is registered already; choose another name")
        _FACTORIES[name] = factory
        return factory

    return add


def space_names() -> list[str]:
    """Names that ``get_space`` knows."""
    return sorted(_FACTORIES)


def describe_space(name: str) -> str:
    """One line about a space."""
    return (_factory(name).__doc__ or "").strip().split("\n")[0]


def space_module(name: str) -> str:
    """Name of the module that a space is written in."""
    return _factory(name).__module__


def get_space(name: str, options: Mapping[str, Any] | None = None) -> SearchSpace:
    """Make a space.

    Args:
        name: one of ``space_names()``, or ``module:factory`` for a space of the user's own: the module, in the working
            directory or installed, is imported, which runs its code.
        options: settings of that space, such as ``classes`` or ``resolutions``.

    Raises:
        SpaceError: an unknown name, or settings that the space does not have or cannot use.
    """
    factory = _factory(name)
    if problem := option_problem("space.options", f"space {name!r}", factory, options or {}):
        raise SpaceError(problem)
    try:
        space = factory(**(options or {}))
    except (OverflowError, TypeError) as error:
        raise SpaceError(f"space {name!r} cannot be made with options {dict(options or {})}: {error}") from error
    if not isinstance(space, SearchSpace):
        raise SpaceError(f"{name!r} makes a {type(space).__name__}; it must return a SearchSpace")
    return space


def _factory(name: str) -> SpaceFactory:
    if ":" in name:
        return find_factory(name)
    if name not in _FACTORIES:
        own = "`nas spaces` describes them; a space of your own is called 'module:factory'"
        raise SpaceError(f"there is no space {name!r}{nearest(name, space_names())} ({own})")
    return _FACTORIES[name]
