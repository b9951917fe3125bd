"""Runs a program beside the runtime: by its list of arguments, for a limited time, and never through a shell."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from devices.errors import DeviceError

_REAP_TIMEOUT_S = 10.0
_WITH_STARTER = """
import ctypes, os, signal, sys
starter, program, *command = sys.argv[1:]
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
if os.getppid() != int(starter):
    sys.exit(1)
for ignored in (signal.SIGPIPE, signal.SIGXFSZ):
    signal.signal(ignored, signal.SIG_DFL)
os.execv(program, command)
"""
"""Becomes a program that Linux kills when the thread that started it ends (PR_SET_PDEATHSIG): what outlived a killed
run or agent would disturb the next measurement. Python ignores two signals, which the program would inherit."""


@dataclass(frozen=True, slots=True)
class Finished:
    """What a program left behind.

    Attributes:
        code: its exit code; negative where a signal ended it.
        stdout: what it wrote, with what is no UTF-8 replaced.
        stderr: what it complained of.
    """

    code: int
    stdout: str
    stderr: str

    def last_words(self, lines: int = 4) -> str:
        """The end of what it wrote, complaints last, in one line; for a person."""
        written = [line.strip() for line in (self.stdout + "\n" + self.stderr).splitlines() if line.strip()]
        return " | ".join(written[-lines:]) or "it said nothing"


class Deadline:
    """A stretch of time that several programs share.

    Args:
        seconds: how long it is.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end = time.monotonic() + seconds

    def left_s(self) -> float:
        """Seconds that are left.

        Raises:
            DeviceError: none.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise DeviceError(
                f"not done after {self._seconds:g} s (timeout_s); if the model is that slow, raise timeout_s"
            )
        return left


def run_program(command: Sequence[str], timeout_s: float, *, remedy: str = "", lasting: bool = False) -> Finished:
    """Run a program and wait for its end, whatever its exit code is.

    It runs in a session of its own: what it has started ends with it, and Ctrl-C reaches only this process.

    Args:
        command: the program and its arguments.
        timeout_s: it is stopped after this long.
        remedy: what to do where the program cannot be started.
        lasting: whether it may go on for long: on Linux it then also ends with this process, however that ends. To
            arrange that takes some hundredths of a second.

    Raises:
        DeviceError: it cannot be started, or took too long.
    """
    try:
        process = subprocess.Popen(  # noqa: S603 (a list of arguments; nothing is read by a shell)
            _ending_with_us(command) if lasting else list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:  # ValueError: a zero byte in an argument
        raise DeviceError(f"{command[0]} cannot be started ({error}){remedy and f'; {remedy}'}") from error
    try:
        stdout, stderr = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        raise DeviceError(
            f"`{' '.join(command[:4])} …` had not finished after {timeout_s:.3g} s and was stopped"
        ) from None
    finally:
        _end(process)
    return Finished(process.returncode, stdout.decode(errors="replace"), stderr.decode(errors="replace"))


def _ending_with_us(command: Sequence[str]) -> list[str]:
    """The command as it is started; unchanged where its program is not found, which starting it tells best."""
    found = shutil.which(command[0])
    if sys.platform != "linux" or found is None:
        return list(command)
    # Not by a function to be called in the child: other threads may hold locks there.
    return [sys.executable, "-I", "-S", "-c", _WITH_STARTER, str(os.getpid()), str(Path(found).absolute()), *command]


def _end(process: subprocess.Popen[bytes]) -> None:
    """Stop the program, if it runs still, and all that it started."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):  # stuck inside the kernel; nothing more can be done
            process.wait(_REAP_TIMEOUT_S)
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
