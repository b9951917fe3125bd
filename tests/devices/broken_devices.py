"""Runtimes that do what real ones do on a bad day; the worker process imports them by name."""

from __future__ import annotations

import ctypes
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from devices import WorkerDevice
from devices.device import FloatArray
from devices.runtime_model import RuntimeModel


class SumModel(RuntimeModel):
    """Computes the sum of the image."""

    def bind(self, image: FloatArray) -> Callable[[], object]:
        return lambda: self._infer(image)

    def _infer(self, image: FloatArray) -> FloatArray:
        return np.asarray(image.sum(), dtype=np.float32).reshape(1, 1)

    def close(self) -> None:
        pass


class Healthy(WorkerDevice):
    """Works."""

    name = "healthy"
    formats = ("onnx",)
    runtime = "test"
    remedy = "nothing helps"

    def runtime_version(self) -> str:
        return "1"

    def load(self, content: bytes, input_shape: tuple[int, int, int], threads: int) -> RuntimeModel:
        self.misbehave(content)
        return SumModel(input_shape)

    def misbehave(self, content: bytes) -> None:
        """What a subclass does wrong while it loads a file."""


class Crashing(Healthy):
    """Reads address 0."""

    def misbehave(self, content: bytes) -> None:
        os.write(2, b"about to fall\n")
        ctypes.string_at(0)


class CrashingWhenTold(Healthy):
    """Reads address 0 for some files only."""

    def misbehave(self, content: bytes) -> None:
        if content == b"crash":
            ctypes.string_at(0)


class CrashingWhenOld(Healthy):
    """Falls at the first load after the first measurement, which loads three times: a fault of what went before."""

    loads = 0

    def misbehave(self, content: bytes) -> None:
        CrashingWhenOld.loads += 1
        if CrashingWhenOld.loads > 3:
            ctypes.string_at(0)


class Hanging(Healthy):
    """Sleeps inside native code without letting go of the interpreter, so no Python thread can run either."""

    def misbehave(self, content: bytes) -> None:
        if place := os.environ.get("HANGING_PID_FILE"):
            Path(f"{place}.tmp").write_text(str(os.getpid()), encoding="ascii")
            Path(f"{place}.tmp").replace(place)
        ctypes.PyDLL(None).sleep(1000)


class Noisy(Healthy):
    """Writes to standard output in every way, floods standard error and reads standard input."""

    def misbehave(self, content: bytes) -> None:
        sys.stdout.write("{}\n")
        os.write(1, b'{"number": 1, "result": {}}\n')
        os.write(2, b"noise\n" * 100_000)
        assert os.read(0, 100) == b""


class Forging(Healthy):
    """Writes into every pipe it can find what its file says."""

    def misbehave(self, content: bytes) -> None:
        for descriptor in range(3, 20):
            try:
                os.write(descriptor, content + b"\n")
            except OSError:
                continue


class Leaving(Healthy):
    """Ends the process."""

    def misbehave(self, content: bytes) -> None:
        os._exit(3)


class Raising(Healthy):
    """Fails as Python code does."""

    def misbehave(self, content: bytes) -> None:
        raise MemoryError("no memory for this model")


class NotInstalled(Healthy):
    """Cannot be imported."""

    def runtime_version(self) -> str:
        raise ImportError("no module named test")


class Slow(Healthy):
    """Takes its time to load."""

    def misbehave(self, content: bytes) -> None:
        time.sleep(0.2)


class Greedy(Healthy):
    """Asks for more memory than any machine has, for some files only."""

    def misbehave(self, content: bytes) -> None:
        if content == b"huge":
            np.ones(2**46, dtype=np.uint8)


class Confessing(Healthy):
    """Fails with what the system has been told to do with this process when memory runs out."""

    def misbehave(self, content: bytes) -> None:
        import resource  # noqa: PLC0415 (not on every system)

        score = Path("/proc/self/oom_score_adj").read_text(encoding="ascii").strip()
        raise RuntimeError(f"score {score}, limited {resource.getrlimit(resource.RLIMIT_DATA)[0] > 0}")
