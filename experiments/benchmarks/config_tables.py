"""The tables of the keys of a config, made from the docstrings and types of its sections."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from types import NoneType
from typing import Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

from common import markdown

from nas import Config
from nas.config.errors import fields_of

# What a run gives these parts itself.
_OF_THE_RUN = {"train": {"seed", "threads"}, "measure": {"visit"}}
_SHOWN_VALUES = 9
_BOUNDS = {"ge": "at least {}", "gt": "above {}", "le": "at most {}", "lt": "below {}", "min_length": "at least {}"}
_PLAIN = {str: "text", int: "whole number", float: "number", bool: "true, false", Path: "path"}
_ENTRY = re.compile(r"^ {4}(\w+): ((?:.|\n {5,})+)", re.MULTILINE)


class Part(NamedTuple):
    """A section of a config: where it stands, its class, and whether a list of such stands there."""

    place: str
    section: type
    many: bool


def config_tables() -> str:
    """The keys of a whole run, then a part with the keys of each of its sections."""
    parts = [f"## `{part.place}`\n\n{_about(part)}{_keys(part)}" for part in _parts(Config)]
    return "\n".join([_keys(Part("", Config, many=False)), *parts])


def _parts(model: type, place: str = "") -> Iterator[Part]:
    for name, kind in get_type_hints(model).items():
        section, many = _section_in(kind)
        if section is not None and name in fields_of(model):
            yield Part(f"{place}{name}", section, many)
            yield from _parts(section, f"{place}{name}.")


def _section_in(kind: Any) -> tuple[type | None, bool]:  # noqa: ANN401 (any annotation)
    """The section of an annotation such as ``tuple[Section, ...]`` or ``Section | None``; whether there are many."""
    for inner in (kind, *get_args(kind)):
        if fields_of(inner):
            return inner, get_origin(kind) is tuple
    return None, False


def _about(part: Part) -> str:
    text = _first_line(part.section)
    return f"{text} A list; of each item:\n\n" if part.many else f"{text}\n\n"


def _keys(part: Part) -> str:
    told = documented(part.section)
    names = [name for name in fields_of(part.section) if name not in _OF_THE_RUN.get(part.place, ())]
    hints = get_type_hints(part.section)
    rows = []
    for name in names:
        inner, _ = _section_in(hints[name])
        place = f"{part.place}.{name}" if part.place else name
        link = f"[`{name}`](#{place.replace('.', '')})" if inner is not None else f"`{name}`"
        text = told.get(name) or (_first_line(inner) if inner is not None else "")
        if not text:
            raise ValueError(f"{part.section.__name__}.{name} is not documented; name it under Attributes")
        rows.append([link, _values(part.section, name, hints[name]), _default(part.section, name), text])
    return markdown(["Key", "Value", "Default", "What it is"], rows)


def _values(section: type, name: str, kind: Any) -> str:  # noqa: ANN401 (any annotation)
    """What may be given, in words."""
    inner, many = _section_in(kind)
    if inner is not None:
        return "list" if many else "section"
    kinds = [part for part in get_args(kind) if part is not NoneType] if NoneType in get_args(kind) else [kind]
    words = " or ".join(_kind(part) for part in kinds)
    limits = getattr(getattr(section, "model_fields", {}).get(name), "metadata", ())
    bounds = [
        text.format(plain(getattr(limit, bound)))
        for limit in limits
        for bound, text in _BOUNDS.items()
        if hasattr(limit, bound)
    ]
    return ", ".join([words, *bounds])


def _kind(kind: Any) -> str:  # noqa: ANN401 (any annotation)
    if get_origin(kind) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(kind))
    if get_origin(kind) is tuple:
        return f"list of {_kind(get_args(kind)[0])}"
    return _PLAIN.get(kind, "mapping")


def _default(section: type, name: str) -> str:
    """The value where the key is left out, as YAML; a dash where there is none, or where it depends on the machine."""
    fields = getattr(section, "model_fields", None)
    if fields is not None:
        field = fields[name]
        if field.is_required():
            return "must be given"
        value = field.get_default(call_default_factory=True)
        depends = field.default_factory is not None and isinstance(value, int)
        return "–" if depends or fields_of(type(value)) else shown(value)
    parameter = inspect.signature(section).parameters[name]
    if parameter.default is inspect.Parameter.empty:
        return "must be given"
    # A dataclass's signature tells of a factory, and not what it makes.
    return "`{}`" if type(parameter.default).__name__ == "_HAS_DEFAULT_FACTORY_CLASS" else shown(parameter.default)


def documented(section: object) -> dict[str, str]:
    """What a docstring says under Attributes or Args, by name and in one line each."""
    text = inspect.getdoc(section) or ""
    listed = re.search(r"^(?:Attributes|Args):\n((?: {4}.*\n?|\n)+)", text, re.MULTILINE)
    return {name: plain_text(words) for name, words in _ENTRY.findall(listed[1])} if listed else {}


def _first_line(section: type) -> str:
    return plain_text((inspect.getdoc(section) or "").partition("\n")[0])


def plain_text(text: str) -> str:
    """Words of a docstring on one line, as Markdown has them."""
    return " ".join(text.split()).replace("``", "`")


def shown(value: object) -> str:
    """A value as YAML has it, in a cell; a dash for none."""
    return "–" if value is None or value == "" else f"`{plain(value)}`"


def plain(value: object) -> str:
    """A value as YAML has it; a long list by its ends."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        # PyYAML takes 3e-05 for a text.
        return f"{int(value)}" if float(value).is_integer() else f"{Decimal(repr(value)):f}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        texts = [plain(item) for item in value]
        return f"[{', '.join(texts if len(texts) <= _SHOWN_VALUES else [*texts[:2], '…', texts[-1]])}]"
    return str(dict(value)) if isinstance(value, Mapping) else str(value)
