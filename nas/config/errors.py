"""Turns pydantic's errors into sentences that say what was given, what is allowed and what was probably meant."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable
from typing import Any, get_args, get_type_hints

from pydantic import BaseModel, ValidationError

_SHOWN = 20
"""Errors told in one message; a file that has more is not a config with slips."""


def explain(error: ValidationError, model: type[BaseModel], origin: str) -> str:
    """One message for everything that is wrong in a config.

    Args:
        error: what pydantic found.
        model: class of the whole config; its fields are looked up to suggest the nearest allowed key.
        origin: name of the config, for the message.
    """
    items = error.errors(include_url=False)
    lines = [_sentence(item, model) for item in items[:_SHOWN]]
    if len(lines) == 1:
        return f"{origin}: {lines[0]}"
    if len(items) > _SHOWN:
        lines.append(f"and {len(items) - _SHOWN} more")
    return f"{origin} has {len(items)} errors:\n" + "\n".join(f"  - {line}" for line in lines)


def nearest(given: str, allowed: Iterable[str]) -> str:
    """The end of a sentence about an unknown name: the nearest allowed one, and all of them."""
    names = sorted(allowed)
    close = difflib.get_close_matches(given, names, 1, cutoff=0.5)
    meant = f"; did you mean {close[0]!r}?" if close else ";"
    return f"{meant} Allowed: {', '.join(names)}" if close else f"{meant} allowed: {', '.join(names)}"


def _sentence(item: Any, model: type[BaseModel]) -> str:  # noqa: ANN401 (pydantic's ErrorDetails)
    place = [part for part in item["loc"] if not (isinstance(part, str) and part.startswith("function-"))]
    name = ".".join(map(str, place))
    if item["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        return f"unknown key {name!r}{nearest(str(place[-1]), _keys(model, place[:-1]))}"
    if item["type"] in ("missing", "missing_argument"):
        return f"{name!r} is missing; it must be given"
    message = item["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    if item["type"] in ("value_error", "assertion_error"):
        return f"{name}: {message}" if name else message
    return f"{name!r} is {item['input']!r}: {message[0].lower()}{message[1:]}"


def _keys(model: type, place: list[Any]) -> list[str]:
    """Keys allowed at a place of the config."""
    here = model
    for part in place:
        if isinstance(part, str) and part in fields_of(here):
            here = _inner(get_type_hints(here)[part])
    return fields_of(here)


def fields_of(section: Any) -> list[str]:  # noqa: ANN401 (any annotation)
    """Keys of a section of the config; none of what is no section."""
    if isinstance(section, type) and issubclass(section, BaseModel):
        return list(section.model_fields)
    return [field.name for field in dataclasses.fields(section)] if dataclasses.is_dataclass(section) else []


def _inner(annotation: Any) -> Any:  # noqa: ANN401 (a type annotation)
    """The section inside an annotation such as ``tuple[Section, ...]`` or ``Section | None``."""
    for argument in get_args(annotation):
        inner = _inner(argument)
        if fields_of(inner):
            return inner
    return annotation
