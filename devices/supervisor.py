"""Starts worker processes, asks them, and stops those that crash, hang or answer nonsense."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from devices.errors import DeviceError

START_TIMEOUT_S = 60.0
"""A worker that has not imported its runtime after this long is given up."""
_REAP_TIMEOUT_S = 10.0
_KEPT_STDERR_BYTES = 4096
_SHOWN_STDERR_LINES = 4


class Supervisor:
    """Keeps one worker process and asks it one thing at a time.

    The worker is started at the first request, serves all later ones, and is started anew after it has crashed or been
    stopped. It runs in a session of its own, so that Ctrl-C reaches only the parent, and ends when the parent ends.

    Args:
        backend: class of the device to be measured, as ``module:class``.
    """

    def __init__(self, backend: str) -> None:
        self._backend = backend
        self._lock = threading.Lock()
        self._worker: _Worker | None = None

    @property
    def process_id(self) -> int | None:
        """Of the worker that is running, if one is."""
        return self._worker.process.pid if self._worker and self._worker.alive else None

    def request(self, message: Mapping[str, Any], timeout_s: float) -> dict[str, Any]:
        """Send a message and wait for its result.

        Raises:
            DeviceError: the worker could not be started, reported an error, crashed, took longer than ``timeout_s``, or
                answered something that is no answer. The next request finds a new worker where that is needed.
        """
        with self._lock:
            experienced = self.process_id is not None
            try:
                return self._ask(message, timeout_s)
            except _EndedError:
                if not experienced:
                    raise
            # What the worker did before may have brought it down; only a new one's end is this request's doing.
            return self._ask(message, timeout_s)

    def close(self) -> None:
        """Stop the worker."""
        with self._lock:
            self._stop()

    def _ask(self, message: Mapping[str, Any], timeout_s: float) -> dict[str, Any]:
        try:
            worker = self._running()
            number = worker.send(message)
            return worker.receive(
                number,
                timeout_s,
                f"no answer after {timeout_s:g} s (timeout_s), so the worker was stopped; if the model is that slow, "
                "raise timeout_s",
            )
        except _ReportedError:
            raise
        except BaseException:  # Ctrl-C as well: whatever state the worker is in, it is not kept
            self._stop()
            raise

    def _running(self) -> _Worker:
        if self._worker and self._worker.alive and not self._worker.speaks_unasked:
            return self._worker
        self._stop()
        self._worker = _Worker((sys.executable, "-m", "devices.worker", self._backend, str(os.getpid())))
        self._worker.receive(
            0, START_TIMEOUT_S, f"the worker had not started after {START_TIMEOUT_S:g} s; is the machine overloaded?"
        )
        return self._worker

    def _stop(self) -> None:
        if self._worker:
            self._worker.stop()
            self._worker = None


class _EndedError(DeviceError):
    """The worker ended without an answer."""


class _ReportedError(DeviceError):
    """The worker said itself what went wrong, and is well."""


@dataclass(frozen=True)
class _Streams:
    """What the threads that watch a worker share with its owner."""

    started: queue.Queue[subprocess.Popen[bytes] | OSError] = field(default_factory=queue.Queue)
    lines: queue.Queue[bytes | None] = field(default_factory=queue.Queue)
    last_words: bytearray = field(default_factory=bytearray)
    silent: threading.Event = field(default_factory=threading.Event)


class _Worker:
    """One process and the two threads that drain its pipes."""

    def __init__(self, command: tuple[str, ...]) -> None:
        self._streams = _Streams()
        self._owner = os.getpid()
        self._asked = 0
        threading.Thread(target=_run, args=(command, self._streams), daemon=True).start()
        try:
            started = self._streams.started.get()
        except BaseException:  # Ctrl-C just now: the process is on its way, wait for it to stop it
            started = self._streams.started.get()
            if isinstance(started, subprocess.Popen):
                _kill(started, self._owner)
            raise
        if isinstance(started, OSError):
            raise DeviceError(f"cannot start a worker process ({command[0]}): {started}")
        self.process = started
        self._finalizer = weakref.finalize(self, _kill, started, self._owner)

    @property
    def alive(self) -> bool:
        """Whether it runs and is ours; after a fork it is still the parent's."""
        return self._owner == os.getpid() and self.process.poll() is None

    @property
    def speaks_unasked(self) -> bool:
        """Whether there are lines that no request is waiting for."""
        return not self._streams.lines.empty()

    def send(self, message: Mapping[str, Any]) -> int:
        """Ask; the result is the number that the answer has to carry."""
        stdin = self.process.stdin
        self._asked += 1
        try:
            if stdin is None:
                raise BrokenPipeError
            stdin.write(json.dumps({**message, "number": self._asked}).encode() + b"\n")
            stdin.flush()
        except OSError:
            raise _EndedError(self._how_it_ended()) from None
        return self._asked

    def receive(self, number: int, timeout_s: float, too_late: str) -> dict[str, Any]:
        try:
            line = self._streams.lines.get(timeout=timeout_s)
        except queue.Empty:
            raise DeviceError(too_late) from None
        if line is None:
            raise _EndedError(self._how_it_ended())
        return _result(line, number)

    def stop(self) -> None:
        self._finalizer()

    def _how_it_ended(self) -> str:
        try:
            code = self.process.wait(_REAP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            return "the worker closed its output and yet goes on, so it was stopped"
        self._streams.silent.wait(1.0)
        lines = self._streams.last_words.decode(errors="replace").strip().splitlines()[-_SHOWN_STDERR_LINES:]
        said = f"; its last words: {' | '.join(lines)}" if lines else ""
        return f"the worker {_describe_exit(code)} while it worked on this model{said}"


def _run(command: tuple[str, ...], streams: _Streams) -> None:
    """Start a worker and pass on its answers until it ends.

    The starting thread has to outlive the worker: Linux ties "kill me when my parent ends" to the thread, not the
    process, that started the child.
    """
    try:
        process = subprocess.Popen(  # noqa: S603 (our own interpreter; nothing is read by a shell)
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=Path(sys.executable).parent,  # Python puts it on the module path: a place without modules
            env=os.environ | {"PYTHONPATH": os.pathsep.join(str(Path(path).absolute()) for path in sys.path)},
            start_new_session=True,
        )
    except OSError as error:
        streams.started.put(error)
        return
    streams.started.put(process)
    threading.Thread(target=_keep_last_words, args=(process.stderr, streams), daemon=True).start()
    for line in process.stdout or ():
        streams.lines.put(line)
    streams.lines.put(None)
    process.wait()


def _keep_last_words(stderr: IO[bytes], streams: _Streams) -> None:
    while chunk := os.read(stderr.fileno(), _KEPT_STDERR_BYTES):
        streams.last_words.extend(chunk)
        del streams.last_words[:-_KEPT_STDERR_BYTES]
    streams.silent.set()


def _kill(process: subprocess.Popen[bytes], owner: int) -> None:
    """End a worker and all that it started."""
    if os.getpid() != owner:
        return  # a forked child must leave its parent's worker alone
    if process.poll() is None:
        if hasattr(os, "killpg"):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    try:
        process.wait(_REAP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return  # stuck inside the kernel; nothing more can be done
    if process.stdin:
        process.stdin.close()


def _result(line: bytes, number: int) -> dict[str, Any]:
    try:
        reply = json.loads(line)
    except ValueError:
        reply = None
    if isinstance(reply, dict) and reply.get("number") == number:
        if isinstance(reply.get("error"), str):
            raise _ReportedError(reply["error"])
        if isinstance(reply.get("result"), dict):
            return dict(reply["result"])
    raise DeviceError(f"the worker answered something that is no answer, so it was stopped: {line[:200]!r}")


def _describe_exit(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    why = {"SIGSEGV": " (a fault inside the runtime)", "SIGKILL": " (out of memory, or stopped from outside)"}
    return f"was ended by {name}{why.get(name, '')}"
