"""Brings a model file to an agent, going on where the last attempt was cut off."""

from __future__ import annotations

from devices.agent import wire
from devices.agent.client import AgentClient, Request
from devices.agent.limits import MIB
from devices.agent.protocol import ROOT, RefusedError
from devices.errors import DeviceError

_PIECE_BYTES = 4 * MIB
_MOST_VAIN = 5
"""Attempts in a row that brought the file no further."""


def upload(client: AgentClient, sha256: str, content: bytes) -> None:
    """Upload what the agent lacks of a file.

    Raises:
        DeviceError: the agent cannot be reached or does not take the file.
    """
    if not content:
        raise DeviceError("the model file is empty; export it again")
    path = f"{ROOT}/artifacts/{sha256}"
    received, whole = _status(client, path, len(content))
    vain = 0
    while not whole:
        before = received
        try:
            received, whole = _send(client, path, content, received)
        except RefusedError as refusal:
            if refusal.code not in ("offset", "digest") or vain == _MOST_VAIN:
                raise
            received, whole = _status(client, path, len(content))
        vain = 0 if received > before else vain + 1
        if vain > _MOST_VAIN:
            raise DeviceError(f"the upload of {sha256[:12]}… to {client.place} does not get beyond byte {received}")


def _send(client: AgentClient, path: str, content: bytes, first: int) -> tuple[int, bool]:
    piece = content[first : first + _PIECE_BYTES]
    place = f"bytes {first}-{first + len(piece) - 1}/{len(content)}"
    request = Request("PUT", path, piece, kind="application/octet-stream", headers=(("Content-Range", place),))
    return _parsed(client.ask_json(request), len(content))


def _status(client: AgentClient, path: str, size: int) -> tuple[int, bool]:
    return _parsed(client.ask_json(Request("GET", path)), size)


def _parsed(told: dict[str, object], size: int) -> tuple[int, bool]:
    received, whole = wire.get(told, "received", int), wire.get(told, "whole", bool)
    if not 0 <= received <= size or (whole and received != size):
        raise wire.WireError(f"the agent says it has {received} of {size} bytes")
    return received, whole
