"""A staged space from plain values, as a config's YAML holds them: every key is known, every value of its type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from types import UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from search_spaces.errors import SpaceError
from search_spaces.nearest import nearest
from search_spaces.registry import register_space
from search_spaces.staged import StagedSpace
from search_spaces.staged_settings import Settings, one_of

T = TypeVar("T")

_NAME = "staged"
_DEFAULT: dict[str, Any] = {
    "classes": 10,
    "resolutions": [16, 24, 32],
    "width_multipliers": [0.5, 1.0],
    "stem": {"widths": [16], "stride": 1, "activation": "relu6"},
    "stages": [
        {
            "kinds": ["separable", "inverted_residual"],
            "widths": [16, 32],
            "kernels": [3, 5],
            "expansions": [2, 4],
            "activation": "relu6",
        },
        {
            "kinds": ["inverted_residual"],
            "widths": [48],
            "depths": [1, 2],
            "kernels": [3, 5],
            "expansions": [3, 4, 6],
            "stride": 2,
            "activation": "relu6",
        },
        {
            "kinds": ["fused_inverted_residual"],
            "widths": [64],
            "depths": [1, 2],
            "expansions": [2, 3, 4],
            "stride": 2,
            "activation": "relu6",
        },
    ],
    "head": {"expand": 160, "activation": "relu6"},
}

_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a name"}


@register_space(_NAME)
def staged(**options: Any) -> StagedSpace:  # noqa: ANN401 (checked one by one)
    """A space written in a config: a stem, stages of elastic blocks of any kind, a head; by default a small one.

    Raises:
        SpaceError: an unknown key, a value of another type, or settings that make no space; it says where.
    """
    default = _settings(_DEFAULT)
    return StagedSpace(_settings({**_DEFAULT, **options}), default)


def _settings(options: Mapping[str, Any]) -> Settings:
    return _read(Settings, options, f"space {_NAME!r}", {"base_name": _NAME})


def _read(kind: type[T], given: Any, place: str, fixed: Mapping[str, Any] | None = None) -> T:  # noqa: ANN401
    """A dataclass from a mapping; ``fixed`` fields are not the mapping's to give."""
    if not isinstance(given, Mapping):
        raise SpaceError(f"{place} is {given!r}; give a mapping of settings")
    values = dict(fixed or {})
    hints = {name: hint for name, hint in get_type_hints(kind).items() if name not in values}
    for key, value in given.items():
        if key not in hints:
            raise SpaceError(f"{place} has no key {key!r}{nearest(str(key), hints)}")
        values[key] = _value(hints[key], value, f"{place}: {key}")
    missing = [name for name in _required(kind) if name not in values]
    if missing:
        raise SpaceError(f"{place} lacks {', '.join(map(repr, missing))}; it must be given")
    return kind(**values)


def _value(hint: Any, given: Any, place: str) -> Any:  # noqa: ANN401 (a type annotation, a plain value)
    """A value of the type that an annotation tells; one value stands for a list of one."""
    if get_origin(hint) is tuple:
        item = get_args(hint)[0]
        if not isinstance(given, list | tuple):
            return (_value(item, given, place),)
        return tuple(_value(item, one, f"{place}.{i}" if is_dataclass(item) else place) for i, one in enumerate(given))
    if get_origin(hint) is UnionType:
        return None if given is None else _value(get_args(hint)[0], given, place)
    if get_origin(hint) is Literal:
        one_of(place, given, get_args(hint))
        return given
    if is_dataclass(hint) and isinstance(hint, type):
        return _read(hint, given, place)
    accepted = (int, float) if hint is float else hint
    if not isinstance(given, accepted) or (isinstance(given, bool) and hint is not bool):
        raise SpaceError(f"{place} is {given!r}; give {_WORDS[hint]}")
    return given


def _required(kind: Any) -> list[str]:  # noqa: ANN401 (a dataclass)
    return [field.name for field in fields(kind) if field.default is MISSING]
