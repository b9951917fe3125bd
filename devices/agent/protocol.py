"""What agents and their clients say to each other.

Requests and answers are HTTP with JSON objects that carry ``"version"``. ``GET /protocol`` tells the versions that an
agent speaks, in every version; all else is under ``/v1``:

============================================  =====================================================================
``GET /health``, ``GET /metrics``             whether it works, and how busy it is (Prometheus text)
``GET /v1/devices``                           its devices and its limits
``GET /v1/artifacts/SHA256``                  how much of a model file it has
``PUT /v1/artifacts/SHA256``                  bytes of a model file, with ``Content-Range: bytes FIRST-LAST/TOTAL``
``POST /v1/measurements``                     measure, or ask how far that is: the same request until it is ``done``
``DELETE /v1/measurements/KEY/ID?client=…``   the result has arrived and need not be kept
``POST /v1/predictions``                      a frame with images; a frame with logits comes back
============================================  =====================================================================

Whatever is refused comes back with an error status and ``{"version", "error": {"code", "message"}}``.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from devices.agent import wire
from devices.agent.wire import WireError
from devices.artifact import Artifact, Workload
from devices.device import DeviceInfo
from devices.errors import DeviceError
from devices.measurement import MOST_THREADS, Measurement, MeasureSettings

PROTOCOL = "hwnas-agent"
VERSIONS: tuple[int, ...] = (1,)
"""Versions of the protocol that this code speaks."""
VERSION = VERSIONS[-1]
ROOT = f"/v{VERSION}"
"""What the paths of this version begin with."""
JSON_TYPE = "application/json"
FRAME_TYPE = "application/x-hwnas-frame"

_MOST_PIXELS = 2**26
_SHORTEST_S, _LONGEST_S = 1e-9, 1e9
"""Of an inference: beyond these somebody's clock is wrong, and what is computed from them is no number."""
_ARTIFACT_FIELDS = tuple(field.name for field in fields(Artifact) if field.name != "path")
_WORKLOAD_FIELDS = tuple(field.name for field in fields(Workload))
_SETTINGS_FIELDS = tuple(field.name for field in fields(MeasureSettings))


class RefusedError(DeviceError):
    """A request that is refused, as it travels: an HTTP status, a word for programs and a message for people."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code

    def to_json(self) -> dict[str, Any]:
        """As the body of the answer."""
        return {"version": VERSION, "error": {"code": self.code, "message": str(self)}}


@dataclass(frozen=True)
class MeasureRequest:
    """One model file to be measured on one of an agent's devices.

    Attributes:
        client: who asks; the queue is fair between clients.
        device: the agent's name for it.
        artifact: its path means nothing to the other side and is left out.
        settings: how to measure.
    """

    client: str
    device: str
    artifact: Artifact
    settings: MeasureSettings

    @property
    def key(self) -> str:
        """Digest of what is measured where and how: requests with one key are answered by one measurement."""
        settings = {name: value for name, value in self.settings.to_json().items() if name != "timeout_s"}
        parts = [self.device, artifact_to_json(self.artifact), settings]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """As a message."""
        return {
            "version": VERSION,
            "client": self.client,
            "device": self.device,
            "artifact": artifact_to_json(self.artifact),
            "settings": self.settings.to_json(),
        }

    @classmethod
    def from_json(cls, message: Mapping[str, Any]) -> MeasureRequest:
        """The inverse of ``to_json``.

        Raises:
            WireError: not such a message.
        """
        check_version(message)
        wire.check_fields(message, ("version", "client", "device", "artifact", "settings", "wait_s"), "the request")
        return cls(
            client=wire.get_name(message, "client"),
            device=wire.get_name(message, "device"),
            artifact=artifact_from_json(wire.get(message, "artifact", dict)),
            settings=settings_from_json(wire.get(message, "settings", dict)),
        )


@dataclass(frozen=True)
class PredictRequest:
    """Images to be run through a model file; none at all only loads it.

    Attributes:
        client: who asks.
        device: the agent's name for it.
        artifact: as in ``MeasureRequest``.
        threads: threads to compute with.
        count: images that follow the message, float32, little-endian, ``(count, *input_shape)``.
    """

    client: str
    device: str
    artifact: Artifact
    threads: int
    count: int

    @property
    def images_bytes(self) -> int:
        """Bytes of the images."""
        return 4 * self.count * math.prod(self.artifact.input_shape)

    def to_json(self) -> dict[str, Any]:
        """As a message."""
        return {**asdict(self), "version": VERSION, "artifact": artifact_to_json(self.artifact)}

    @classmethod
    def from_json(cls, message: Mapping[str, Any]) -> PredictRequest:
        """The inverse of ``to_json``.

        Raises:
            WireError: not such a message.
        """
        check_version(message)
        wire.check_fields(message, ("version", *(field.name for field in fields(cls))), "the request")
        threads, count = wire.get(message, "threads", int), wire.get(message, "count", int)
        if not 1 <= threads <= MOST_THREADS or not 0 <= count <= _MOST_PIXELS:
            raise WireError(f"threads {threads} or count {count} is out of range")
        return cls(
            client=wire.get_name(message, "client"),
            device=wire.get_name(message, "device"),
            artifact=artifact_from_json(wire.get(message, "artifact", dict)),
            threads=threads,
            count=count,
        )


def check_version(message: Mapping[str, Any]) -> None:
    """Refuse a message of another version.

    Raises:
        WireError: its version is not spoken here.
    """
    version = wire.get(message, "version", int)
    if version not in VERSIONS:
        raise WireError(version_mismatch([version]))


def version_mismatch(theirs: list[int]) -> str:
    """What to tell a person whose two sides have no version in common."""
    older = "this side" if theirs and min(theirs) > VERSION else "the other side"
    return (
        f"the other side speaks version {' or '.join(map(str, theirs)) or 'none'} of the protocol, this side "
        f"{' or '.join(map(str, VERSIONS))}; update {older} (`nas devices bundle agent.pyz` makes a new agent)"
    )


def artifact_to_json(artifact: Artifact) -> dict[str, Any]:
    """A model file without its path."""
    described = artifact.to_json()
    return {name: described[name] for name in _ARTIFACT_FIELDS}


def artifact_from_json(data: Mapping[str, Any]) -> Artifact:
    """The inverse of ``artifact_to_json``; its path is only the digest.

    Raises:
        WireError: not such an object.
    """
    wire.check_fields(data, _ARTIFACT_FIELDS, "the artifact")
    sha256 = wire.check_sha256(wire.get(data, "sha256", str))
    shape = wire.get(data, "input_shape", list)
    if len(shape) != 3 or not all(type(n) is int and 0 < n <= _MOST_PIXELS for n in shape):
        raise WireError(f"the artifact's input shape is {str(shape)[:100]}; give (channels, height, width)")
    if math.prod(shape) > _MOST_PIXELS:
        raise WireError(f"the artifact's input shape is {shape}; an image has at most {_MOST_PIXELS} values")
    workload = data.get("workload")
    if workload is not None:
        wire.check_fields(wire.get(data, "workload", dict), _WORKLOAD_FIELDS, "the workload")
        if not all(0 <= wire.get(workload, name, int) < 2**63 for name in _WORKLOAD_FIELDS):
            raise WireError("the workload's counts have to be whole numbers of at least 0")
    for name in ("format", "precision"):
        wire.get_name(data, name)
    try:
        return Artifact.from_json({**data, "path": Path(sha256)})
    except DeviceError as error:
        raise WireError(str(error)) from error


def settings_from_json(data: Mapping[str, Any]) -> MeasureSettings:
    """Settings as ``MeasureSettings.to_json`` writes them.

    Raises:
        WireError: not such an object.
    """
    wire.check_fields(data, _SETTINGS_FIELDS, "settings")
    try:
        return MeasureSettings(**data)
    except DeviceError as error:
        raise WireError(str(error)) from error
    except (TypeError, ValueError, OverflowError) as error:
        raise WireError(f"these are no measure settings: {error}") from error


def info_from_json(data: Mapping[str, Any]) -> DeviceInfo:
    """A device's identity as ``DeviceInfo.to_json`` writes it.

    Fields that are not known here are left out: who a board is must not depend on who asks.

    Raises:
        WireError: not such an object.
    """
    known = {field.name: data[field.name] for field in fields(DeviceInfo) if field.name in data}
    options = known.pop("options", {})
    if not isinstance(options, dict) or not all(isinstance(value, str) for value in options.values()):
        raise WireError("a device's options have to be pairs of texts")
    if not all(value is None or type(value) in (str, int, float, bool) for value in known.values()):
        raise WireError("a device's identity has to be texts and numbers")
    try:
        return DeviceInfo(**known, options=tuple(options.items()))
    except (TypeError, ValueError, DeviceError) as error:
        raise WireError(f"this is no device's identity: {error}") from error


def measurement_from_json(data: Mapping[str, Any], request: MeasureRequest, device: str) -> Measurement:
    """A measurement that an agent sent, under the name that the device has here.

    Raises:
        WireError: not such an object, or it is not of what was asked for.
    """
    try:
        made = Measurement.from_json({**data, "device": device})
    except DeviceError as error:
        raise WireError(str(error)) from error
    except Exception as error:  # whatever a number or a text of the wrong kind may raise
        raise WireError(f"the agent's measurement cannot be read: {type(error).__name__}: {error}") from error
    if not all(_SHORTEST_S <= sample <= _LONGEST_S for sample in made.latencies_s):
        raise WireError(
            f"the agent's measurement says that inferences took {min(made.latencies_s)} to {max(made.latencies_s)} s; "
            f"they take {_SHORTEST_S:g} to {_LONGEST_S:g} s"
        )
    artifact = request.artifact
    found = (made.artifact_sha256, made.format, made.precision, made.settings.key)
    if found != (artifact.sha256, artifact.format, artifact.precision, request.settings.key):
        raise WireError("the agent's measurement is of another file or other settings than what was asked for")
    for name in (field.name for field in fields(Measurement) if field.name.endswith(("_s", "_bytes", "_j"))):
        value = getattr(made, name)
        if name != "latencies_s" and value is not None and not _is_amount(value):
            raise WireError(f"the agent's measurement says {name} is {str(value)[:100]!r}")
    return replace(made, settings=request.settings)


def _is_amount(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return 0 <= value <= 2**63
