"""Options by name, as a config gives them, against the signature of what takes them: every slip told with its place."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral, Real
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from search_spaces.nearest import nearest

_LISTS = (list, tuple, Sequence)
_KINDS: dict[Any, tuple[type, str, str]] = {
    bool: (bool, "true or false", "true or false"),
    int: (Integral, "a whole number", "whole numbers"),
    float: (Real, "a number", "numbers"),
    str: (str, "a text", "texts"),
}
"""By annotation: what a value must be an instance of, and what one and several of them are called."""


def option_problem(
    place: str, owner: str, factory: Callable[..., Any], options: Mapping[str, Any], *, given_first: int = 0
) -> str | None:
    """Why options cannot be a factory's, in one sentence; or none, as far as its signature tells.

    Args:
        place: where a config has them, such as ``space.options``.
        owner: whose options they are, such as ``space 'mnasnet'``.
        factory: what is called with them.
        options: by name.
        given_first: parameters of the factory that come before them and are no options.
    """
    parameters = list(inspect.signature(factory).parameters.values())[given_first:]
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return None  # it checks them itself
    known = {parameter.name: parameter for parameter in parameters}
    hints = _hints(factory)
    for name, value in options.items():
        if name not in known:
            return f"{place}.{name}: {owner} has no such option{nearest(str(name), known)}"
        hint = hints.get(name, Any)
        if not _fits(value, hint):
            return f"{place}.{name} is {value!r}; give {_words(hint)}{_example(known[name].default)}"
    return None


def _hints(factory: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(factory.__init__ if inspect.isclass(factory) else factory)
    except (NameError, TypeError):  # of a module of the user's own, which need not have any
        return {}


def _fits(value: object, hint: Any) -> bool:  # noqa: ANN401 (a type annotation)
    """Whether a value is of an annotated type; yes where the annotation is of a kind that is not looked into."""
    if get_origin(hint) in (Union, UnionType):
        return any(_fits(value, part) for part in get_args(hint))
    if (item := _item(hint)) is not None:
        return isinstance(value, list | tuple) and all(_fits(one, item) for one in value)
    if hint is type(None):
        return value is None
    if hint not in _KINDS:
        return True
    return isinstance(value, _KINDS[hint][0]) and (hint is bool or not isinstance(value, bool))


def _item(hint: Any) -> Any:  # noqa: ANN401
    """The type of a list's items; none of what is no list."""
    return get_args(hint)[0] if get_origin(hint) in _LISTS else None


def _words(hint: Any) -> str:  # noqa: ANN401
    """What to give for an annotated type."""
    if get_origin(hint) in (Union, UnionType):
        return " or ".join(_words(part) for part in get_args(hint) if part is not type(None))
    if (item := _item(hint)) is not None:
        return f"a list of {_KINDS[item][2]}" if item in _KINDS else "a list"
    return _KINDS[hint][1] if hint in _KINDS else str(hint)


def _example(default: object) -> str:
    """The default as what a config could hold."""
    if isinstance(default, list | tuple) and default:
        return f", such as {list(default)}"
    numeric = isinstance(default, Real) and not isinstance(default, bool)
    return f", such as {default}" if numeric else ""
