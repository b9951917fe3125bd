"""The agent: devices of this board, for clients that reach it over HTTP."""

from __future__ import annotations

import hmac
import ipaddress
import math
import re
import ssl
import time
from collections.abc import Callable, Mapping
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs

from devices.agent import wire
from devices.agent.bench import Bench, artifact_missing, unknown_device
from devices.agent.http_server import Answer, BoundedServer, RequestHandler
from devices.agent.journal import Journal
from devices.agent.limits import Limits
from devices.agent.metrics import Metrics
from devices.agent.predictor import Predictor
from devices.agent.protocol import (
    FRAME_TYPE,
    JSON_TYPE,
    PROTOCOL,
    ROOT,
    VERSION,
    VERSIONS,
    MeasureRequest,
    PredictRequest,
    RefusedError,
    version_mismatch,
)
from devices.agent.store import ArtifactStore, Piece
from devices.agent.turns import HUNG, Turn, TurnTaker
from devices.agent.wire import WireError
from devices.device import Device
from devices.errors import DeviceError

SHORTEST_TOKEN = 16
_DIGEST = "([0-9a-f]{64})"
_RANGE = re.compile(r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15})")
_FULL_S = 20.0
"""An agent that had no room says for so long that it cannot be used; then somebody may try again."""
_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")


@dataclass(frozen=True)
class Served:
    """A device that an agent offers: the device, and how another process makes the same one."""

    device: Device
    kind: str
    options: Mapping[str, Any]


@dataclass(frozen=True)
class _Call:
    """A request, the parts of its path that vary, and its query."""

    request: RequestHandler
    words: tuple[str, ...]
    query: str


class Agent:
    """Serves devices until it is stopped.

    Args:
        devices: by the names that clients use.
        directory: model files and journal; one agent at a time can hold it.
        host: address to listen at.
        port: to listen at; 0 takes a free one.
        token: that clients have to show; may be none only at a loopback address.
        tls: certificate and key, to encrypt connections.
        limits: what clients may take.
        log: takes a line for each request and event.

    Raises:
        DeviceError: no token where one is needed, a token that is too short, or a directory or address that cannot be
            used.
    """

    def __init__(
        self,
        devices: Mapping[str, Served],
        directory: Path,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        token: str | None = None,
        tls: ssl.SSLContext | None = None,
        limits: Limits | None = None,
        log: Callable[[str], None] = lambda line: None,
    ) -> None:
        _check_token(token, host)
        self._devices, self._limits, self._log = dict(devices), limits or Limits(), log
        self._token = None if token is None else token.encode()
        self._metrics = Metrics()
        self._full = (-math.inf, "")
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._journal = Journal(directory / "journal.sqlite")
        except OSError as error:
            raise DeviceError(f"cannot use {directory}: {error}; give another --directory") from error
        self._turns = TurnTaker(self._limits)
        plain = {name: served.device for name, served in self._devices.items()}
        self._bench = Bench(plain, self._journal, self._turns, self._limits, self._metrics, log=log)
        self._store = ArtifactStore(directory, self._limits, self._bench.needed)
        self._predictors = {name: Predictor(it.kind, dict(it.options)) for name, it in self._devices.items()}
        try:
            self._server = BoundedServer((host, port), self._route, self._limits, tls=tls, note=self._note, log=log)
        except OSError as error:
            self._journal.close()
            raise DeviceError(f"cannot listen at {host}:{port}: {error}; give another --host or --port") from error
        scheme = "https" if tls else "http"
        bound = f"[{host}]" if ":" in host else host
        self.url = f"{scheme}://{bound}:{self._server.server_address[1]}"

    def start(self) -> None:
        """Take up what an earlier agent left undone, and answer requests in the background."""
        self._bench.start(self._store)
        self._turns.start()
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self) -> None:
        """Answer everybody who waits, let the measurement that is running end within a while, and let go of all."""
        self._bench.stop()
        self._server.shutdown()
        self._server.server_close()
        if self._turns.stop(self._limits.shutdown_s):
            for served in self._devices.values():
                served.device.close()
        else:
            self._bench.put_back()
        for predictor in self._predictors.values():
            predictor.close()
        self._journal.close()

    def _note(self, request: RequestHandler, status: int, line: str) -> None:
        self._metrics.count("requests_total", method=request.command, status=str(status))
        self._log(line)

    def _route(self, request: RequestHandler) -> Answer:
        path, _, query = request.path.partition("?")
        self._check_host(request)
        if path not in ("/health", "/protocol"):
            self._check_token(request)
        asked = re.fullmatch(r"/v(\d{1,3})/.*", path)
        if asked and int(asked[1]) not in VERSIONS:
            raise RefusedError(400, "version", version_mismatch([int(asked[1])]))
        method = "GET" if request.command == "HEAD" else request.command
        for allowed, pattern, answer in _ROUTES:
            found = re.fullmatch(pattern, path)
            if found and method == allowed:
                return self._answered(answer, _Call(request, found.groups(), query))
        message = "there is nothing here by that method and path; GET /protocol tells the versions"
        raise RefusedError(404, "unknown", message)

    def _answered(self, answer: Callable[[Agent, _Call], Answer], call: _Call) -> Answer:
        try:
            return answer(self, call)
        except RefusedError as refusal:
            if refusal.code == "disk":
                self._full = (time.monotonic(), str(refusal))
            raise

    def _check_token(self, request: RequestHandler) -> None:
        if self._token is None:
            return
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        known = hmac.compare_digest(given.strip().encode("utf-8", "replace"), self._token)
        if scheme.lower() != "bearer" or not known:
            what = "another token than the agent's" if given else "no token"
            raise RefusedError(401, "token", f"the request carries {what}")

    def _check_host(self, request: RequestHandler) -> None:
        """Without a token only this machine may ask, and a web page that its browser shows is not this machine."""
        if self._token is not None:
            return
        name = re.sub(r":\d+$", "", request.headers.get("Host", ""))
        if name not in _LOOPBACK_NAMES and not _is_loopback(name):
            raise RefusedError(403, "host", "without a token the agent answers only to localhost and 127.0.0.1")
        if request.command in ("POST", "PUT", "DELETE") and "Origin" in request.headers:
            raise RefusedError(403, "origin", "without a token the agent takes nothing from web pages")

    def _health(self, call: _Call) -> Answer:
        status = "hung" if self._turns.hung else "ok"
        return (503 if self._turns.hung else 200), JSON_TYPE, wire.dump({"status": status, "name": PROTOCOL})

    def _metrics_text(self, call: _Call) -> Answer:
        present: dict[str, float] = {
            "turns_waiting": self._turns.waiting,
            "results_kept": self._bench.kept,
            "artifact_bytes": self._store.used_bytes,
            "hung": self._turns.hung,
        }
        return 200, "text/plain; version=0.0.4", self._metrics.text(present).encode()

    def _describe(self, call: _Call) -> Answer:
        devices = {
            name: {
                "formats": list(served.device.formats),
                "info": served.device.info().to_json(),
                "unavailable_reason": self._unfit() or served.device.unavailable_reason(),
            }
            for name, served in self._devices.items()
        }
        return _json({"devices": devices, "limits": asdict(self._limits)})

    def _unfit(self) -> str | None:
        """Why nothing can be measured on this board now, whatever its devices say."""
        if self._turns.hung:
            return HUNG
        found_s, reason = self._full
        return reason if time.monotonic() - found_s < _FULL_S else None

    def _protocol(self, call: _Call) -> Answer:
        return _json({"name": PROTOCOL, "versions": list(VERSIONS)})

    def _received(self, call: _Call) -> Answer:
        return _json(_status(*self._store.received(call.words[0])))

    def _upload(self, call: _Call) -> Answer:
        request, (sha256,) = call.request, call.words
        found = _RANGE.fullmatch(request.headers.get("Content-Range", ""))
        if not found:
            message = "an upload says where it belongs: Content-Range: bytes FIRST-LAST/TOTAL"
            raise RefusedError(400, "malformed", message)
        first, last, total = map(int, found.groups())
        self._store.check_size(total)
        size = request.body_size(self._limits.artifact_bytes)
        if last - first + 1 != size:
            message = f"Content-Range is of {last - first + 1} bytes and Content-Length of {size}"
            raise RefusedError(400, "malformed", message)
        before = self._store.received(sha256)[0]
        there, whole = self._store.receive(sha256, Piece(first, size, total), request.rfile)
        self._metrics.count("uploaded_bytes_total", max(0, there - before))
        return _json(_status(there, whole))

    def _measure(self, call: _Call) -> Answer:
        message = wire.parse_object(call.request.body(wire.MOST_JSON_BYTES))
        wait_s = message.get("wait_s", 0)
        if type(wait_s) not in (int, float) or not 0 <= wait_s <= 3600:
            raise WireError("'wait_s' has to be a number of seconds from 0 to 3600")
        return _json(self._bench.ask(MeasureRequest.from_json(message), min(wait_s, self._limits.wait_s)))

    def _acknowledge(self, call: _Call) -> Answer:
        key, id = call.words
        client = parse_qs(call.query).get("client", [""])[0]
        self._bench.acknowledge(key, id, wire.get_name({"client": client}, "client"))
        return _json({})

    def _predict(self, call: _Call) -> Answer:
        message, images = wire.unpack(call.request.body(self._limits.images_bytes + wire.MOST_JSON_BYTES))
        asked = PredictRequest.from_json(message)
        if len(images) != asked.images_bytes:
            raise WireError(f"{asked.count} images of this shape have {asked.images_bytes} bytes; {len(images)} came")
        if asked.device not in self._devices:
            raise unknown_device(asked.device, self._devices)
        if not self._store.received(asked.artifact.sha256)[1]:
            raise artifact_missing(asked.artifact.sha256)
        frame = self._in_turn(asked, images)
        self._metrics.count("predicted_images_total", asked.count)
        return 200, FRAME_TYPE, frame

    def _in_turn(self, asked: PredictRequest, images: memoryview) -> bytes:
        predictor, path = self._predictors[asked.device], self._store.path(asked.artifact.sha256)
        limit_s = self._limits.prediction_s
        work = partial(predictor.predict, asked, path, images, limit_s)
        turn = Turn(asked.client, work, limit_s + self._limits.grace_s)
        self._turns.add(turn)
        until = time.monotonic() + self._limits.wait_s
        try:
            while True:
                try:
                    frame: bytes = turn.future.result(max(0.0, until - time.monotonic()))
                    return frame
                except FutureTimeoutError:
                    if self._turns.withdraw(turn):
                        raise RefusedError(503, "busy", "other turns come first; ask again") from None
                    until += turn.limit_s  # it has begun, and ends by itself
        except RefusedError:
            raise
        except DeviceError as error:
            raise RefusedError(422, "device", str(error)) from error


_ROUTES: tuple[tuple[str, str, Callable[[Agent, _Call], Answer]], ...] = (
    ("GET", "/health", Agent._health),
    ("GET", "/protocol", Agent._protocol),
    ("GET", "/metrics", Agent._metrics_text),
    ("GET", f"{ROOT}/devices", Agent._describe),
    ("GET", f"{ROOT}/artifacts/{_DIGEST}", Agent._received),
    ("PUT", f"{ROOT}/artifacts/{_DIGEST}", Agent._upload),
    ("POST", f"{ROOT}/measurements", Agent._measure),
    ("DELETE", f"{ROOT}/measurements/{_DIGEST}/([0-9a-f]{{16}})", Agent._acknowledge),
    ("POST", f"{ROOT}/predictions", Agent._predict),
)


def _json(message: Mapping[str, Any]) -> Answer:
    return 200, JSON_TYPE, wire.dump({"version": VERSION, **message})


def _status(received: int, whole: bool) -> dict[str, Any]:
    return {"received": received, "whole": whole}


def _check_token(token: str | None, host: str) -> None:
    if token is None and not _is_loopback(host):
        raise DeviceError(
            f"--host {host} can be reached from other machines, so a token is needed: give --token-file FILE (or "
            "--host 127.0.0.1 and reach the agent through an SSH tunnel)"
        )
    if token is not None and (len(token) < SHORTEST_TOKEN or not token.isascii() or not token.isprintable()):
        raise DeviceError(f"the token has to be {SHORTEST_TOKEN} or more printable ASCII characters on one line")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
