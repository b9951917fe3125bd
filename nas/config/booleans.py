"""Keeps ``true`` from counting as the number 1, which pydantic takes it for."""

from __future__ import annotations

from typing import Any, get_args, get_origin, get_type_hints

from nas.config.errors import fields_of


def told_as_text(value: Any, kind: Any) -> Any:  # noqa: ANN401 (any YAML value, any annotation)
    """The value with booleans as texts where the annotation asks for a number, so that they are refused as such."""
    if isinstance(value, bool):
        return str(value).lower() if _is_number(kind) else value
    if isinstance(value, dict):
        section = next((part for part in _parts(kind) if fields_of(part)), None)
        hints = get_type_hints(section) if section is not None else {}
        return {key: told_as_text(inner, hints.get(key, Any)) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        inner = next((get_args(part)[0] for part in _parts(kind) if get_origin(part) in (tuple, list)), Any)
        return [told_as_text(item, inner) for item in value]
    return value


def _is_number(kind: Any) -> bool:  # noqa: ANN401
    parts = _parts(kind)
    return bool not in parts and (int in parts or float in parts)


def _parts(kind: Any) -> tuple[Any, ...]:  # noqa: ANN401
    """The members of a union; the annotation itself where it is none."""
    if get_origin(kind) in (tuple, list, dict):
        return (kind,)
    return get_args(kind) or (kind,)
