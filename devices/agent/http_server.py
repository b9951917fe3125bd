"""An HTTP server that slow, rude and hostile clients cannot tie down: bounded connections, sizes and times."""

from __future__ import annotations

import http.server
import io
import socket
import socketserver
import ssl
import sys
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from devices.agent.limits import Limits
from devices.agent.protocol import JSON_TYPE, RefusedError
from devices.agent.wire import WireError, dump

_BUSY = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_HEAD_BYTES = 64 * 1024
"""Most of a request before its body: it is in memory before anybody has shown a token."""
_DRAIN_S = 2.0
_DRAIN_BYTES = 4 * 1024 * 1024

Answer = tuple[int, str, bytes]
"""Status, content type, body."""


class BoundedServer(http.server.ThreadingHTTPServer):
    """One thread and one request for each connection, at most so many at a time.

    Args:
        address: host and port to listen at.
        answer: makes the answer to a request; what it raises becomes an error answer.
        limits: connections, and how long a request may take to arrive.
        tls: certificate and key, where the connection is to be encrypted.
        note: takes each request, the status of its answer and a line for the log.
        log: takes a line for whatever was no request.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(
        self,
        address: tuple[str, int],
        answer: Callable[[RequestHandler], Answer],
        limits: Limits,
        *,
        tls: ssl.SSLContext | None,
        note: Callable[[RequestHandler, int, str], None],
        log: Callable[[str], None],
    ) -> None:
        self.answer, self.limits, self.tls, self.note, self.log = answer, limits, tls, note, log
        self._free = threading.BoundedSemaphore(limits.connections)
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, RequestHandler)

    def server_bind(self) -> None:
        """Bind without asking a name server who we are."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 (as in the base class)
        """Answer in a thread, or say that there is none."""
        if not self._free.acquire(blocking=False):
            request.setblocking(False)
            try:
                if self.tls is None:
                    request.send(_BUSY)
            except OSError:
                pass
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """As in the base class; the connection is then free for the next one."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """One line instead of a traceback: most often the client has gone away."""
        error = sys.exc_info()[1]
        self.log(f"{client_address[0]} connection failed: {type(error).__name__}: {error}")


class RequestHandler(http.server.BaseHTTPRequestHandler):
    """Reads one request, has it answered, and closes the connection."""

    server: BoundedServer
    protocol_version = "HTTP/1.1"
    server_version = "hwnas-agent"
    sys_version = ""

    def setup(self) -> None:
        """Set the deadline, and agree on keys where the connection is encrypted."""
        self._deadline = time.monotonic() + self.server.limits.request_s
        self.request.settimeout(self.server.limits.request_s)
        if self.server.tls:
            self.request = self.server.tls.wrap_socket(self.request, server_side=True)
        super().setup()
        self._arriving = _Deadlined(self.connection, lambda: self._deadline, self.server.limits.request_s)
        self.rfile = io.BufferedReader(self._arriving)

    def finish(self) -> None:
        """Close what `setup` opened."""
        super().finish()
        if self.server.tls:
            self.connection.close()

    def body(self, most_bytes: int) -> bytes:
        """The request's body.

        Raises:
            RefusedError: no length, too long, or it ended early.
        """
        size = self.body_size(most_bytes)
        data = self.rfile.read(size)
        if len(data) != size:
            raise RefusedError(400, "malformed", f"the request ended after {len(data)} of {size} bytes")
        return data

    def body_size(self, most_bytes: int) -> int:
        """Length of the body that may now be read from ``rfile``, within a time that goes with its length.

        Raises:
            RefusedError: no length, or too long.
        """
        text = self.headers.get("Content-Length", "")
        if not (text.isascii() and text.isdigit() and len(text) < 16) or "Transfer-Encoding" in self.headers:
            raise RefusedError(411, "malformed", "the request has to say its Content-Length and may not be chunked")
        size = int(text)
        if size > most_bytes:
            raise RefusedError(413, "too_large", f"the request has {size} bytes; at most {most_bytes} are read")
        self._deadline += size / self.server.limits.bytes_per_s
        self._arriving.left = size
        return size

    def _respond(self) -> None:
        started = time.monotonic()
        status, kind, body = self._answered()
        self.close_connection = True
        self.connection.settimeout(self.server.limits.request_s + len(body) / self.server.limits.bytes_per_s)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.send_header("Cache-Control", "no-store")
        if status == HTTPStatus.UNAUTHORIZED:
            self.send_header("WWW-Authenticate", "Bearer")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        taken_ms = 1000 * (time.monotonic() - started)
        line = (
            f"{self.client_address[0]} {self.command} {_printable(self.path)} {status} {len(body)} B {taken_ms:.0f} ms"
        )
        self.server.note(self, status, line)
        if status >= HTTPStatus.BAD_REQUEST:
            self._drain()

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _respond  # noqa: N815 (names of the base class)

    def _answered(self) -> Answer:
        try:
            return self.server.answer(self)
        except RefusedError as refusal:
            return refusal.status, JSON_TYPE, dump(refusal.to_json())
        except WireError as error:
            return 400, JSON_TYPE, dump(RefusedError(400, "malformed", str(error)).to_json())
        except TimeoutError:
            message = "the request took too long to arrive; is the network that slow?"
            return 408, JSON_TYPE, dump(RefusedError(408, "timeout", message).to_json())
        except Exception as error:  # nothing a client sends may end the agent
            self.server.log(f"{self.client_address[0]} internal error: {type(error).__name__}: {error}")
            return (
                500,
                JSON_TYPE,
                dump(RefusedError(500, "internal", f"internal error: {type(error).__name__}").to_json()),
            )

    def _drain(self) -> None:
        """Read on for a moment, or the client, which still sends, would see a reset and not why it was refused."""
        try:
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_WR)
            self._deadline = time.monotonic() + _DRAIN_S
            left = self._arriving.left = _DRAIN_BYTES
            while left > 0 and (block := self.rfile.read1(65536)):
                left -= len(block)
        except (OSError, ValueError):
            return

    def log_error(self, format: str, *args: Any) -> None:  # noqa: ANN401 (as in the base class)
        """A line about a request that could not be read, without its words: among them may be a secret."""
        what = args[0] if args and isinstance(args[0], int) else "timed out"
        self.server.log(f"{self.client_address[0]} request that could not be read: {what}")

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Nothing: `_respond` writes the line, when the time is known."""


class _Deadlined(io.RawIOBase):
    """Bytes of a connection: no more than may come, until a moment, however slowly they drip.

    Args:
        connection: where they come from.
        deadline: tells the moment.
        silence_s: longest time without any.

    Attributes:
        left: how many may still come.
    """

    def __init__(self, connection: socket.socket, deadline: Callable[[], float], silence_s: float) -> None:
        self._connection, self._deadline, self._silence_s = connection, deadline, silence_s
        self.left = _HEAD_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 (any writable buffer)
        left = self._deadline() - time.monotonic()
        if left <= 0:
            raise TimeoutError("the request took too long to arrive")
        if self.left <= 0:
            raise ConnectionAbortedError("the request is longer than it may be")  # an end would make it a shorter one
        self._connection.settimeout(min(left, self._silence_s))
        count = self._connection.recv_into(buffer, min(len(buffer), self.left))
        self.left -= count
        return count


def _printable(text: str) -> str:
    """A path without its query, which may hold what is nobody's business, and without control characters."""
    return "".join(c if c.isprintable() and c.isascii() else "?" for c in text.partition("?")[0][:200])
