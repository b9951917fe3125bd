from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.agent import wire
from devices.agent.wire import WireError

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5), lambda it: st.lists(it, max_size=3)
)
messages = st.dictionaries(st.text(max_size=5), values, max_size=4)


@settings(max_examples=50)
@given(messages, st.binary(max_size=50))
def test_frames_come_back_as_they_were(message: dict[str, Any], payload: bytes) -> None:
    assert wire.parse_object(wire.dump(message)) == message
    found, raw = wire.unpack(wire.pack(message, payload))
    assert (found, bytes(raw)) == (message, payload)


@settings(max_examples=200)
@given(st.binary(max_size=200) | st.text(alphabet='{}[]",:0123456789eE.-truefalsnu \\', max_size=60).map(str.encode))
def test_whatever_comes_is_an_object_or_an_error(data: bytes) -> None:
    for read in (wire.parse_object, wire.unpack):
        with contextlib.suppress(WireError):
            read(data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not valid JSON"),
        (b"\xff{}", "not valid JSON"),
        (b"[]", "has to be an object"),
        (b'{"a": 1, "a": 2}', "twice"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": -Infinity}', "Infinity"),
        (b'{"a": ' + b"[" * 20 + b"]" * 20 + b"}", "nested"),
        (b'{"a": ' + b"[" * 30_000, "not valid JSON"),
        (json.dumps({"a": "x" * 20_000}).encode(), "more than 16384 characters"),
        (b'{"a": "' + b"x" * wire.MOST_JSON_BYTES + b'"}', "at most 65536"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not valid JSON"),
    ],
)
def test_what_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(WireError, match=message):
        wire.parse_object(data)


@pytest.mark.parametrize("name", ["", "a/b", "..", ".hidden", "a b", "a\n", "é", "x" * 65, "a\0b", 3, None, True])
def test_what_is_no_name(name: object) -> None:
    with pytest.raises(WireError):
        wire.get_name({"name": name}, "name")


@pytest.mark.parametrize("digest", ["", "a" * 63, "A" * 64, "../" + "a" * 61, "a" * 64 + "\n"])
def test_what_is_no_digest(digest: str) -> None:
    with pytest.raises(WireError, match="no digest"):
        wire.check_sha256(digest)


def test_truth_is_no_number_and_a_missing_field_is_named() -> None:
    with pytest.raises(WireError, match="type int"):
        wire.get({"count": True}, "count", int)
    with pytest.raises(WireError, match="lacks 'count'"):
        wire.get({}, "count", int)
