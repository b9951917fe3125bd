"""Turns pydantic's errors into sentences that say what was given, what is allowed and what was probably meant."""

from __future__ import annotations

import dataclasses
import re
from decimal import Decimal
from typing import Any, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ValidationError

from search_spaces.nearest import nearest

_SHOWN = 20
"""Errors told in one message; a file that has more is not a config with slips."""


_EXAMPLES = {
    "limits": ": `- {metric: latency_s.chip, at_most: 0.02}`",
    "objectives": ": `- {metric: accuracy, direction: maximize}`",
    "targets": ": `- {name: chip, device: onnxruntime_cpu}`",
}
"""What an item of a list looks like, by section."""

_MISTAKEN = {"fleet": "; a file of known devices goes to predictor.fleet"}
"""Where what was given in the place of a section may belong."""

_UNITS = {
    "us": ("seconds", "1e-6"),
    "µs": ("seconds", "1e-6"),
    "ms": ("seconds", "1e-3"),
    "s": ("seconds", "1"),
    "b": ("bytes", "1"),
    "kb": ("bytes", "1e3"),
    "mb": ("bytes", "1e6"),
    "kib": ("bytes", "1024"),
    "mib": ("bytes", "1048576"),
}
"""Units that people write, by the unit that limits are in and how many of it they are."""


def explain(error: ValidationError, model: type[BaseModel], origin: str) -> str:
    """One message for everything that is wrong in a config.

    Args:
        error: what pydantic found.
        model: class of the whole config; its fields are looked up to suggest the nearest allowed key.
        origin: name of the config, for the message.
    """
    items = _told_once(error.errors(include_url=False))
    lines = [_sentence(item, model) for item in items[:_SHOWN]]
    if len(lines) == 1:
        return f"{origin}: {lines[0]}"
    if len(items) > _SHOWN:
        lines.append(f"and {len(items) - _SHOWN} more")
    return f"{origin} has {len(items)} errors:\n" + "\n".join(f"  - {line}" for line in lines)


def _sentence(item: Any, model: type[BaseModel]) -> str:  # noqa: ANN401 (pydantic's ErrorDetails)
    place = [part for part in item["loc"] if not (isinstance(part, str) and part.startswith("function-"))]
    name = ".".join(map(str, place))
    if item["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        elsewhere = _elsewhere(model, str(place[0])) if len(place) == 1 else []
        if elsewhere:
            return f"unknown key {name!r}; did you mean {' or '.join(map(repr, elsewhere))}?"
        return f"unknown key {name!r}{nearest(str(place[-1]), _keys(model, place[:-1]))}"
    if item["type"] in ("missing", "missing_argument"):
        return f"{name!r} is missing; it must be given"
    message = item["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    if item["type"] in ("value_error", "assertion_error"):
        return message if not name or message.startswith(f"{name}.") else f"{name}: {message}"
    wanted = _wanted(item, _keys(model, place)) or f"{message[0].lower()}{message[1:]}"
    return f"{name!r} is {item['input']!r}: {wanted}"


def _told_once(items: list[Any]) -> list[Any]:
    """Errors without those that follow from others: a list whose items are wrong counts as empty as well."""
    places = [item["loc"] for item in items]

    def follows(item: Any) -> bool:  # noqa: ANN401 (pydantic's ErrorDetails)
        depth = len(item["loc"])
        return item["type"] == "too_short" and any(len(at) > depth and at[:depth] == item["loc"] for at in places)

    return [item for item in items if not follows(item)]


def _wanted(item: Any, keys: list[str]) -> str | None:  # noqa: ANN401 (pydantic's ErrorDetails)
    """What to give where pydantic says it in the words of Python; none where its own words do."""
    section = str(next(iter(item["loc"]), ""))
    if item["type"] in ("tuple_type", "list_type"):
        return f"give a list{_EXAMPLES.get(section, '') if len(item['loc']) == 1 else ''}"
    if item["type"] in ("model_type", "dataclass_type"):
        return f"give the keys {', '.join(keys)}{_MISTAKEN.get(section, '')}"
    if item["type"] == "float_parsing" and section == "limits":
        return f"give {_plain_quantity(item['input'])}"
    return None


def _plain_quantity(text: str) -> str:
    """What to write in the place of a quantity with its unit, such as seconds in the place of ``20 ms``."""
    found = re.fullmatch(r"\s*([0-9]+\.?[0-9]*)\s*([a-zµ]+)\s*", text.lower())
    if found is None or found[2] not in _UNITS:
        return "a plain number: seconds for a latency, bytes for a size"
    unit, factor = _UNITS[found[2]]
    return f"{unit}, {float(Decimal(found[1]) * Decimal(factor)):.12g}"


def _elsewhere(model: type[BaseModel], key: str) -> list[str]:
    """Keys of this name one level down."""
    if key in fields_of(model):
        return []
    hints = get_type_hints(model)
    sections = {name: _inner(hints[name]) for name in fields_of(model) if get_origin(hints[name]) is not tuple}
    return [f"{name}.{key}" for name, section in sections.items() if key in fields_of(section)]


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
