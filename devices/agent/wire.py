"""Strict JSON, and frames of JSON with raw bytes behind it: what comes over a wire is checked before it is used."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from devices.errors import DeviceError

MOST_JSON_BYTES = 64 * 1024
"""Most bytes of a message, but for results with their samples."""
_MOST_DEPTH = 8
_LONGEST_TEXT = 16 * 1024
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_Value = TypeVar("_Value")


class WireError(DeviceError):
    """A message that is malformed, too large, or holds what it may not."""


def parse_object(data: bytes, most_bytes: int = MOST_JSON_BYTES) -> dict[str, Any]:
    """A JSON object out of bytes that somebody else wrote.

    Raises:
        WireError: too long, no UTF-8, no JSON object, nested too deeply, a name twice in one object, a text that is too
            long, or a number that JSON does not have.
    """
    if len(data) > most_bytes:
        raise WireError(f"the message has {len(data)} bytes; at most {most_bytes} are read")
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_object, parse_constant=_no_constant)
    except WireError:
        raise
    except (ValueError, RecursionError) as error:  # ValueError: no JSON, no UTF-8, or a number of thousands of digits
        raise WireError(f"the message is not valid JSON: {_short(str(error))}") from error
    if not isinstance(value, dict):
        raise WireError(f"the message is a JSON {type(value).__name__}; it has to be an object")
    _check_size(value)
    return value


def dump(message: Mapping[str, Any]) -> bytes:
    """A message as bytes, on one line."""
    return json.dumps(message, allow_nan=False, separators=(",", ":")).encode()


def pack(message: Mapping[str, Any], payload: bytes | memoryview) -> bytes:
    """A frame: the message on one line, then raw bytes."""
    return b"".join((dump(message), b"\n", payload))


def unpack(frame: bytes) -> tuple[dict[str, Any], memoryview]:
    """The message and the raw bytes of a frame.

    Raises:
        WireError: the first line is no message.
    """
    end = frame.find(b"\n", 0, MOST_JSON_BYTES + 1)
    if end < 0:
        raise WireError("the frame does not begin with one line of JSON")
    return parse_object(frame[:end]), memoryview(frame)[end + 1 :]


def get(message: Mapping[str, Any], name: str, kind: type[_Value]) -> _Value:
    """A field of exactly this type.

    Raises:
        WireError: it is missing or of another type; true and false are no numbers.
    """
    if name not in message:
        raise WireError(f"the message lacks {name!r}")
    value = message[name]
    if type(value) is not kind:
        raise WireError(f"{name!r} is {_short(repr(value))}; it has to be of type {kind.__name__}")
    return value


def get_name(message: Mapping[str, Any], name: str) -> str:
    """A field that holds a name: letters, digits, ``.``, ``_`` and ``-``, at most 64, a letter or digit first.

    Raises:
        WireError: it does not.
    """
    value = get(message, name, str)
    if not _NAME.fullmatch(value):
        raise WireError(
            f"{name!r} is {_short(repr(value))}; give 1 to 64 letters, digits, '.', '_' or '-', a letter or digit first"
        )
    return value


def check_sha256(text: str) -> str:
    """The same text, if it is a digest.

    Raises:
        WireError: it is not.
    """
    if not _SHA256.fullmatch(text):
        raise WireError(f"{_short(repr(text))} is no digest; give the sha256 as 64 lower-case hexadecimal digits")
    return text


def check_fields(message: Mapping[str, Any], allowed: Sequence[str], what: str) -> None:
    """Refuse fields that nobody here knows.

    Raises:
        WireError: there is one; the other side is probably of another version.
    """
    unknown = sorted(set(message) - set(allowed))
    if unknown:
        raise WireError(
            f"{what} has fields that are not known here: {_short(repr(unknown))}; known: {sorted(allowed)}. The two "
            "sides are of different versions: bundle the agent anew, or update the host"
        )


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise WireError("the message has a name twice in one object")
    return made


def _no_constant(name: str) -> float:
    raise WireError(f"the message holds {name}, which is no JSON")


def _check_size(value: Any) -> None:  # noqa: ANN401 (any JSON value)
    level: list[Any] = [value]
    for _ in range(_MOST_DEPTH):
        if any(isinstance(item, str) and len(item) > _LONGEST_TEXT for item in level):
            raise WireError(f"the message holds a text of more than {_LONGEST_TEXT} characters")
        lists = [item for item in level if isinstance(item, list)]
        objects = [item for item in level if isinstance(item, dict)]
        level = [item for part in lists for item in part]
        level += [item for part in objects for pair in part.items() for item in pair]
        if not level:
            return
    raise WireError(f"the message is nested more than {_MOST_DEPTH} deep")


def _short(text: str) -> str:
    return text if len(text) <= 200 else text[:200] + "…"
