"""What a remote device does to get a measurement or predictions from its agent."""

from __future__ import annotations

import math
import os
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar, get_args

import numpy as np

from devices.agent import wire
from devices.agent.client import AgentClient, Patience, Request
from devices.agent.limits import MIB
from devices.agent.protocol import (
    ROOT,
    MeasureRequest,
    PredictRequest,
    RefusedError,
    info_from_json,
    measurement_from_json,
)
from devices.agent.upload import upload
from devices.artifact import Artifact, Format
from devices.device import DeviceInfo, FloatArray, LoadedModel
from devices.errors import DeviceError
from devices.measurement import AGE, Measurement, MeasureSettings

_HELD_S = 20.0
_HURRY_S = 3.0
_UPLOADS = 3
_LONGEST_PREDICTION_S = 86400.0
_LONGEST_AGE_S = 1e9
_IMAGES_BYTES = 8 * MIB
_Answer = TypeVar("_Answer")


@dataclass(frozen=True)
class Offer:
    """What an agent says about one of its devices.

    Attributes:
        name: the agent's name for it.
        formats: kinds of files it can run.
        info: who it is.
        unavailable_reason: why it cannot be used, if it cannot.
        prediction_s: how long the agent may take for a batch of images.
    """

    name: str
    formats: tuple[Format, ...]
    info: DeviceInfo
    unavailable_reason: str | None
    prediction_s: float

    @classmethod
    def parse(cls, name: str, device: Mapping[str, Any], limits: Mapping[str, Any]) -> Offer:
        """Out of an agent's answer.

        Raises:
            WireError: it is none.
        """
        formats, reason = wire.get(device, "formats", list), device.get("unavailable_reason")
        return cls(
            name=wire.get_name({"device": name}, "device"),
            formats=tuple(kind for kind in get_args(Format) if kind in formats),
            info=info_from_json(wire.get(device, "info", dict)),
            unavailable_reason=None if reason is None else str(reason),
            prediction_s=_seconds(limits, "prediction_s", _LONGEST_PREDICTION_S),
        )


def make_link(
    url: str,
    *,
    device: str | None,
    token_env: str | None,
    token_file: str | None,
    certificate: str | None,
    wait_s: float,
    unreachable_s: float,
) -> Link:
    """The link that a remote device's options describe; see there.

    Raises:
        DeviceError: a URL, token or certificate that cannot be used.
    """
    patience = Patience(unreachable_s=unreachable_s, total_s=wait_s)
    place = None if certificate is None else Path(certificate)
    return Link(AgentClient(url, _token(token_env, token_file), place, patience), device, patience)


class Link:
    """One device of one agent.

    A result is acknowledged when the next measurement is asked for, or at the end: by then whoever asked has kept it.
    Until then the agent keeps it, and another process that asks for the same gets the same.

    Args:
        client: speaks to the agent.
        device: the agent's name for the device; none where it offers only one.
        patience: how long to go on.
    """

    def __init__(self, client: AgentClient, device: str | None, patience: Patience) -> None:
        self._client, self._wanted, self._patience = client, device, patience
        short_s = min(_HURRY_S, patience.unreachable_s)
        self._hurry = replace(patience, connect_s=short_s, unreachable_s=short_s, total_s=short_s)
        self._me = secrets.token_hex(8)
        self._lock = threading.Lock()
        self._offer: Offer | None = None
        self._received: list[str] = []

    def offer(self, hurry: bool = False) -> Offer:
        """What was offered when it was first asked for: who a device is does not change under its user's hands.

        Raises:
            DeviceError: as for `asked_offer`.
        """
        if self._offer is None:
            self._offer = self.asked_offer(hurry)
        return self._offer

    def asked_offer(self, hurry: bool = False) -> Offer:
        """What is offered now.

        Raises:
            DeviceError: the agent cannot be reached (in a hurry: at once), or does not offer the device.
        """
        request = Request("GET", f"{ROOT}/devices")
        told = self._client.ask_json(request, self._hurry if hurry else self._patience)
        devices = wire.get(told, "devices", dict)
        wanted = next(iter(devices)) if self._wanted is None and len(devices) == 1 else self._wanted
        if wanted is None or wanted not in devices:
            asked = "no device was chosen" if wanted is None else f"there is no device {wanted!r}"
            offered = ", ".join(sorted(devices))
            raise DeviceError(f"{asked} at {self._client.place}; choose one with the option device: {offered}")
        return Offer.parse(wanted, wire.get(devices, wanted, dict), wire.get(told, "limits", dict))

    def measure(self, artifact: Artifact, settings: MeasureSettings) -> Measurement:
        """Have a model file measured.

        Raises:
            DeviceError: the file cannot be read, the agent cannot be reached, refuses or answers nonsense, or the board
                is not the one that it was.
        """
        content = artifact.read()
        offer = self.offer()
        self.acknowledge()
        request = MeasureRequest(self._me, offer.name, artifact, settings)
        told = self._wait_for(request, content)
        now = info_from_json(wire.get(told, "device", dict))
        if now != offer.info:
            raise DeviceError(
                f"the board at {self._client.place} is another than at the beginning: it was {offer.info.key} and is "
                f"{now.key} (another machine, or another version of its runtime); start anew"
            )
        made = measurement_from_json(wire.get(told, "measurement", dict), request, offer.info.name)
        if dict(made.environment).get("simulated"):
            return made  # the same at every time
        told = {"age_s": 0.0, **told}  # an agent that does not tell is of an earlier version
        age_s = math.nan if told["age_s"] is None else _seconds(told, "age_s", _LONGEST_AGE_S)
        return replace(made, environment=(*made.environment, (AGE, f"{age_s:.3f}")))

    def open(self, artifact: Artifact, threads: int) -> LoadedModel:
        """Load a model file on the board.

        Raises:
            DeviceError: it cannot be loaded, or the agent cannot be reached.
        """
        return _RemoteModel(self, artifact, artifact.read(), threads)

    def predict(self, artifact: Artifact, content: bytes, threads: int, images: FloatArray) -> FloatArray:
        """Run images through a model file on the board; none at all only loads it there.

        Raises:
            DeviceError: the model cannot be loaded or computed with, or the agent cannot be reached.
        """
        offer = self.offer()
        request = PredictRequest(self._me, offer.name, artifact, threads, len(images))
        body = wire.pack(request.to_json(), np.ascontiguousarray(images, dtype="<f4").tobytes())
        answer = self._with_upload(
            lambda: self._client.post_frame(f"{ROOT}/predictions", body, held_s=offer.prediction_s), artifact, content
        )
        told, payload = wire.unpack(answer)
        return _logits(wire.get(told, "shape", list), payload, len(images))

    def acknowledge(self, hurry: bool = False) -> None:
        """Tell the agent which results have arrived.

        Raises:
            DeviceError: it cannot be reached; it is told the next time.
        """
        with self._lock:
            while self._received:
                self._client.ask(Request("DELETE", self._received[0]), self._hurry if hurry else self._patience)
                del self._received[0]

    def _wait_for(self, request: MeasureRequest, content: bytes) -> dict[str, Any]:
        """Ask until it is done: the request is the same every time, and is answered by one measurement."""
        until = time.monotonic() + self._patience.total_s
        message = {**request.to_json(), "wait_s": min(_HELD_S, self._patience.total_s)}
        while True:
            told = self._with_upload(
                lambda: self._client.post(f"{ROOT}/measurements", message, held_s=_HELD_S), request.artifact, content
            )
            state, id = wire.get_name(told, "state"), wire.get_name(told, "id")
            if state == "done":
                with self._lock:
                    self._received.append(f"{ROOT}/measurements/{request.key}/{id}?client={self._me}")
                return told
            if time.monotonic() > until:
                ahead = told.get("ahead", 0)
                raise DeviceError(
                    f"not measured after {self._patience.total_s:g} s (wait_s): at the agent {self._client.place} it "
                    f"is {state}, with {ahead if type(ahead) is int else '?'} turns before it"
                )

    def _with_upload(self, ask: Callable[[], _Answer], artifact: Artifact, content: bytes) -> _Answer:
        """Ask; where the agent lacks the model file, upload it and ask again."""
        for _ in range(_UPLOADS):
            try:
                return ask()
            except RefusedError as refusal:
                if refusal.code != "artifact_missing":
                    raise
                upload(self._client, artifact.sha256, content)
        return ask()


class _RemoteModel:
    """A model file that is loaded on the board."""

    def __init__(self, link: Link, artifact: Artifact, content: bytes, threads: int) -> None:
        self._link, self._artifact, self._content, self._threads = link, artifact, content, threads
        try:
            self._predict(np.zeros((0, *artifact.input_shape), dtype=np.float32))
        except DeviceError as error:
            raise DeviceError(f"cannot open {artifact.path} remotely: {error}") from error

    def predict(self, images: FloatArray) -> FloatArray:
        """See `LoadedModel`."""
        shape = self._artifact.input_shape
        if images.ndim != 4 or images.shape[1:] != shape or not len(images):
            raise DeviceError(f"images have shape {images.shape}; this model takes (count, *{shape})")
        step = max(1, _IMAGES_BYTES // (4 * math.prod(shape)))
        return np.concatenate([self._predict(images[i : i + step]) for i in range(0, len(images), step)])

    def bind(self, image: FloatArray) -> Callable[[], object]:
        """See `LoadedModel`; every call travels, so its time is not the model's."""
        return lambda: self.predict(image)

    def close(self) -> None:
        """See `LoadedModel`; the agent lets go of models that others have come after."""

    def _predict(self, images: FloatArray) -> FloatArray:
        return self._link.predict(self._artifact, self._content, self._threads, images)

    def __enter__(self) -> _RemoteModel:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _seconds(message: Mapping[str, Any], name: str, most: float) -> float:
    """A field that holds seconds.

    Raises:
        WireError: it does not, or as many as nobody means.
    """
    value = wire.get(message, name, float)
    if not 0 <= value <= most:
        raise wire.WireError(f"{name!r} is {value}; it has to be seconds, from 0 to {most:g}")
    return value


def _logits(shape: list[Any], payload: memoryview, count: int) -> FloatArray:
    if len(shape) != 2 or shape[0] != count or not all(type(n) is int and 0 <= n < 2**31 for n in shape):
        raise DeviceError(f"the agent answered an array {str(shape)[:100]} for {count} images")
    if len(payload) != 4 * math.prod(shape):
        raise DeviceError(f"the agent answered {len(payload)} bytes for an array {shape}")
    return np.frombuffer(payload, dtype="<f4").reshape(shape).astype(np.float32)


def _token(env: str | None, file: str | None) -> str | None:
    if env is not None:
        token = os.environ.get(env, "").strip()
        if not token:
            raise DeviceError(f"the environment variable {env} (token_env) is not set; put the agent's token there")
    elif file is not None:
        try:
            token = Path(file).read_text(encoding="ascii").strip()
        except (OSError, ValueError) as error:  # ValueError: no ASCII, or a name that no file can have
            raise DeviceError(f"cannot read the agent's token in {file} (token_file): {error}") from error
    else:
        return None
    if not token.isprintable():
        raise DeviceError("the agent's token has to be one line")
    return token
