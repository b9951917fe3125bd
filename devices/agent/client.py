"""Asks an agent: retries what can be asked twice, and says clearly why there is no answer."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from devices.agent import wire
from devices.agent.limits import MOST_REPLY_BYTES
from devices.agent.protocol import FRAME_TYPE, JSON_TYPE, PROTOCOL, VERSION, RefusedError, version_mismatch
from devices.errors import DeviceError

_SLOWEST_BYTES_PER_S = 10_000
_LATER = (429, 503)
_AGAIN = (408, 500, 502, 504)


@dataclass(frozen=True)
class Patience:
    """How long a client goes on.

    Attributes:
        connect_s: for a connection to come about.
        answer_s: for an answer to come, beyond the time that the agent was asked to hold the request.
        unreachable_s: an agent that cannot be reached for so long is given up; restarting one takes less.
        total_s: a measurement or a batch of images that has not come back after this long is given up.
        first_pause_s: before the second attempt; doubles with each one.
        longest_pause_s: from one attempt to the next, unless the first takes longer.
    """

    connect_s: float = 10.0
    answer_s: float = 30.0
    unreachable_s: float = 60.0
    total_s: float = 3600.0
    first_pause_s: float = 0.1
    longest_pause_s: float = 5.0


class UnreachableError(DeviceError):
    """No answer, or none that can be understood."""


@dataclass(frozen=True)
class Request:
    """One HTTP request.

    Attributes:
        method: of HTTP.
        path: with its query.
        body: what is sent.
        kind: content type of the body.
        headers: further ones.
        held_s: how long the agent may hold the request until there is news.
    """

    method: str
    path: str
    body: bytes = b""
    kind: str = JSON_TYPE
    headers: tuple[tuple[str, str], ...] = ()
    held_s: float = 0.0


class AgentClient:
    """Speaks to one agent.

    Args:
        url: of the agent, such as ``http://192.168.1.7:8765``.
        token: that it wants to see.
        certificate: file with the certificate to trust, its own or that of who signed it; the system's where there is
            none.
        patience: how long to go on.

    Raises:
        DeviceError: a URL or certificate that cannot be used.
    """

    def __init__(self, url: str, token: str | None, certificate: Path | None, patience: Patience) -> None:
        self._scheme, self._host, self._port = _split(url)
        self._token, self._patience = token, patience
        self._tls: ssl.SSLContext | None = None
        if self._scheme == "https":
            try:
                self._tls = ssl.create_default_context(cafile=certificate)
            except (OSError, ValueError) as error:
                raise DeviceError(f"cannot use the certificate {certificate}: {error}") from error
        self._negotiated = False

    @property
    def place(self) -> str:
        """Host and port."""
        return f"{self._host}:{self._port}"

    def ask(self, request: Request, patience: Patience | None = None) -> bytes:
        """The body of the answer.

        Raises:
            UnreachableError: there is no agent there, for as long as the patience lasts.
            RefusedError: the agent refuses.
        """
        patience = patience or self._patience
        return self._patiently(lambda: self._negotiate_and_send(request, patience), patience)

    def ask_json(self, request: Request, patience: Patience | None = None) -> dict[str, Any]:
        """The answer as a message.

        Raises:
            DeviceError: as for `ask`, or the answer is no message.
        """
        return wire.parse_object(self.ask(request, patience), MOST_REPLY_BYTES)

    def post(self, path: str, message: Mapping[str, Any], held_s: float = 0.0) -> dict[str, Any]:
        """Send a message and get one; see `ask_json`."""
        return self.ask_json(Request("POST", path, wire.dump(message), held_s=held_s))

    def post_frame(self, path: str, frame: bytes, held_s: float) -> bytes:
        """Send a frame and get one; see `ask`."""
        return self.ask(Request("POST", path, frame, kind=FRAME_TYPE, held_s=held_s))

    def _patiently(self, attempt: Callable[[], bytes], patience: Patience) -> bytes:
        """Try until it works, the agent says no, or patience ends."""
        began, failing_since = time.monotonic(), None
        pause_s = patience.first_pause_s
        while True:
            asked_at = time.monotonic()
            try:
                return attempt()
            except (UnreachableError, RefusedError) as error:
                if isinstance(error, RefusedError) and error.status not in (*_LATER, *_AGAIN):
                    raise
                later = isinstance(error, RefusedError) and error.status in _LATER  # it is well, and busy
                now = time.monotonic()
                # Who was held until there was no news has waited, and would miss its turn if it stayed away now.
                next_at = max(now + patience.first_pause_s, asked_at + pause_s)
                failing_since = None if later else failing_since or now
                if failing_since is not None and next_at - failing_since > patience.unreachable_s:
                    raise
                if next_at - began > patience.total_s:
                    raise
            time.sleep(next_at - now)
            pause_s = min(2 * pause_s, patience.longest_pause_s)

    def _negotiate_and_send(self, request: Request, patience: Patience) -> bytes:
        if not self._negotiated:
            self._negotiate(patience)
        return self._send(request, patience)

    def _negotiate(self, patience: Patience) -> None:
        """Find out that an agent is there and speaks our version."""
        try:
            told = wire.parse_object(self._send(Request("GET", "/protocol"), patience))
            versions = wire.get(told, "versions", list)
        except wire.WireError as error:
            raise UnreachableError(f"{self.place} answers, but not as an agent does ({error})") from error
        if told.get("name") != PROTOCOL or not all(type(version) is int for version in versions):
            raise UnreachableError(f"{self.place} answers, but not as an agent does; is the port right?")
        if VERSION not in versions:
            raise RefusedError(
                400, "version", f"the agent at {self.place} cannot be used: {version_mismatch(versions)}"
            )
        self._negotiated = True

    def _send(self, request: Request, patience: Patience) -> bytes:
        """One attempt."""
        connection = self._connection(patience)
        try:
            connection.connect()
            return self._exchange(connection, request, patience)
        except ssl.SSLCertVerificationError as error:
            raise DeviceError(
                f"the certificate of {self.place} is not trusted ({error.verify_message}); copy the agent's "
                "certificate here and name it with the option certificate; it has to be made out to the host in the URL"
            ) from error
        except (OSError, http.client.HTTPException) as error:
            why = "it took too long" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
            raise UnreachableError(
                f"no answer from the agent at {self.place} ({why}); is it running, and is this its address?"
            ) from error
        finally:
            connection.close()

    def _exchange(self, connection: http.client.HTTPConnection, request: Request, patience: Patience) -> bytes:
        sock = connection.sock  # forgotten there with the headers of a last answer, whose body still comes from it
        headers = {"Content-Type": request.kind, "Content-Length": str(len(request.body)), **dict(request.headers)}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        with _within(patience.answer_s + request.held_s + len(request.body) / _SLOWEST_BYTES_PER_S, sock):
            with suppress(BrokenPipeError, ConnectionResetError):  # answered before all was sent: refused, most likely
                connection.request(request.method, request.path, request.body, headers)
            response = connection.getresponse()
        with _within(patience.answer_s + min(response.length or 0, MOST_REPLY_BYTES) / _SLOWEST_BYTES_PER_S, sock):
            body = response.read(MOST_REPLY_BYTES + 1)
        if len(body) > MOST_REPLY_BYTES:
            raise UnreachableError(f"the agent at {self.place} answered more than {MOST_REPLY_BYTES} bytes")
        if response.headers.get("Content-Length") != str(len(body)):  # cut off, perhaps in the middle of the headers
            raise http.client.IncompleteRead(body)
        if response.status != http.client.OK:
            raise self._refusal(response.status, body)
        return body

    def _refusal(self, status: int, body: bytes) -> RefusedError:
        try:
            error = wire.get(wire.parse_object(body), "error", dict)
            code, message = wire.get_name(error, "code"), wire.get(error, "message", str)
        except wire.WireError:
            code, message = "unknown", f"HTTP status {status}"
        if code == "token":
            message += "; give the agent's token with the option token_file or token_env"
        return RefusedError(status, code, f"the agent at {self.place} refused: {message}")

    def _connection(self, patience: Patience) -> http.client.HTTPConnection:
        if self._tls:
            return http.client.HTTPSConnection(self._host, self._port, timeout=patience.connect_s, context=self._tls)
        return http.client.HTTPConnection(self._host, self._port, timeout=patience.connect_s)


@contextmanager
def _within(seconds: float, sock: socket.socket) -> Iterator[None]:
    """Cut a connection off when what is done here takes longer: a time-out of its own is for each packet."""

    def cut() -> None:
        with suppress(OSError):
            socket.socket.shutdown(sock, socket.SHUT_RDWR)  # an encrypted one's own also forgets its keys, in use there

    sock.settimeout(seconds)
    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _split(url: str) -> tuple[str, str, int]:
    example = "give it as http://HOST:PORT or https://HOST:PORT"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise DeviceError(f"the agent's url is {url!r} ({error}); {example}") from error
    if parts.username or parts.password:
        raise DeviceError(f"the agent's url holds a user or password; {example}, and the token by token_file")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path not in ("", "/") or parts.query:
        raise DeviceError(f"the agent's url is {url!r}; {example}")
    return parts.scheme, parts.hostname, port or 8765
