"""Runs images through model files in a process of its own, which may crash or hang without the agent taking harm."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from devices.agent import wire
from devices.agent.limits import MOST_CLASSES
from devices.agent.protocol import PredictRequest
from devices.errors import DeviceError
from devices.registry import device_module

_REAP_TIMEOUT_S = 10.0


class Predictor:
    """Asks one process at a time; a crash costs the request that caused it. Not safe between threads.

    Args:
        kind: registered name of the device.
        options: that it is made with.
    """

    def __init__(self, kind: str, options: dict[str, Any]) -> None:
        made = (device_module(kind), kind, json.dumps(options))
        self._command = (sys.executable, "-m", "devices.agent.opening", *made, str(os.getpid()))
        self._process: subprocess.Popen[bytes] | None = None
        # Linux ties "kill me when my parent ends" to the thread that started a process: it has to live as long.
        self._starter = ThreadPoolExecutor(max_workers=1)

    def predict(self, request: PredictRequest, path: Path, images: memoryview, timeout_s: float) -> bytes:
        """Run images through the model file at a path; the result is a frame as the client gets it.

        Raises:
            DeviceError: the model cannot be loaded or computed with, brought the process down, or took too long.
        """
        artifact = {**request.artifact.to_json(), "path": str(path)}
        message = {"bytes": len(images), "artifact": artifact, "threads": request.threads, "count": request.count}
        process = self._running()
        late = threading.Event()

        def give_up() -> None:
            late.set()
            _kill(process)

        timer = threading.Timer(timeout_s, give_up)
        timer.daemon = True
        timer.start()
        try:
            reply, logits = _exchange(process, wire.pack(message, images), request.count)
        except (OSError, ValueError, wire.WireError) as error:  # ValueError: its pipes were closed meanwhile
            self._stop()
            late_words = f"had not answered after {timeout_s:g} s"
            why = late_words if late.is_set() else f"ended or answered nonsense ({error})"
            raise DeviceError(f"the process that runs the model {why}") from error
        finally:
            timer.cancel()
        if "error" in reply:
            raise DeviceError(wire.get(reply, "error", str))
        return wire.pack({"shape": wire.get(reply, "shape", list)}, logits)

    def close(self) -> None:
        """Stop the process for good."""
        self._stop()
        self._starter.shutdown(wait=False)

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        _kill(process)
        for stream in (process.stdin, process.stdout):
            with suppress(OSError):  # what was still to be written is of no use to a process that is gone
                if stream:
                    stream.close()
        with suppress(subprocess.TimeoutExpired):  # stuck inside the kernel; nothing more can be done
            process.wait(_REAP_TIMEOUT_S)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self._stop()
            self._process = self._starter.submit(self._start).result()
        return self._process

    def _start(self) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(  # noqa: S603 (our own interpreter; nothing is read by a shell)
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd=Path(sys.executable).parent,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(str(Path(path).absolute()) for path in sys.path)},
                start_new_session=True,
            )
        except OSError as error:
            raise DeviceError(f"cannot start a process to run the model in: {error}") from error


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it started."""
    if process.poll() is None:
        if hasattr(os, "killpg"):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()


def _exchange(process: subprocess.Popen[bytes], frame: bytes, count: int) -> tuple[dict[str, Any], bytes]:
    if process.stdin is None or process.stdout is None:
        raise BrokenPipeError
    process.stdin.write(frame)
    process.stdin.flush()
    line = process.stdout.readline(wire.MOST_JSON_BYTES + 1)
    if not line:
        raise BrokenPipeError("no answer")
    reply = wire.parse_object(line)
    size = wire.get(reply, "bytes", int)
    if not 0 <= size <= 4 * count * MOST_CLASSES:
        raise wire.WireError(f"it announces {size} bytes")
    logits = process.stdout.read(size)
    if len(logits) != size:
        raise BrokenPipeError("half an answer")
    return reply, logits
