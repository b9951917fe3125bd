"""The worker process: measures one model file after another, in the device's own runtime.

Started as ``python -m devices.worker MODULE:CLASS PARENT_PID``. It answers every line of JSON on its standard input
with one line on what was its standard output when it started: ``{"number": …, "result": …}`` or ``{"number": …,
"error": …}``, with the number of the request; number 0 says whether it could start. It ends when its input does, and,
on Linux, as soon as its parent is gone.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import signal
import sys
import time
from functools import reduce
from pathlib import Path
from typing import IO, Any

import numpy as np

from devices.artifact import Artifact
from devices.cores import Pinning
from devices.device import FloatArray
from devices.environment import describe_environment
from devices.errors import DeviceError
from devices.interval import sample_flags
from devices.measurement import MeasureSettings
from devices.timing import take_samples, time_once
from devices.watch import Snapshot, compare, snapshot
from devices.worker_device import WorkerDevice

_PR_SET_PDEATHSIG = 1
_LONGEST_ERROR = 2000


def main() -> None:
    """Answer requests until there are no more."""
    backend, parent = sys.argv[1:]
    end_with_parent(int(parent))
    fall_first()
    requests, replies = claim_pipes()
    try:
        device = find_device(backend)
        device.runtime_version()
    except Exception as error:  # the parent reports it, whatever it is
        send(replies, {"number": 0, "error": describe_error(error)})
        return
    pinning = Pinning()
    gc.freeze()  # what is imported stays: collecting before every measurement need not look at it
    send(replies, {"number": 0, "result": {}})
    for line in requests:
        request = json.loads(line)
        send(replies, {"number": request["number"], **answer(device, request, pinning)})


def end_with_parent(parent: int) -> None:
    """Have the system kill this process when its parent ends, however that happens and whatever this one is doing."""
    if sys.platform == "linux":
        import resource  # noqa: PLC0415 (not on every system)

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash is expected data: leave no core files
        if os.getppid() != parent:  # it ended before it could be watched
            sys.exit(1)


def fall_first() -> None:
    """Have whatever runs short of memory end here: a model that takes too much is this process's error, not a row less.

    Linux is asked to kill this process before any other, and to refuse it more memory than the machine has.
    """
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    if sys.platform == "linux":
        import resource  # noqa: PLC0415 (not on every system)

        whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        most = resource.getrlimit(resource.RLIMIT_DATA)[1]
        limit = whole if most == resource.RLIM_INFINITY else min(whole, most)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, most))


def claim_pipes() -> tuple[IO[str], IO[str]]:
    """Take the pipes to the parent out of reach of runtimes, which may read standard input and write to the output."""
    requests = os.fdopen(os.dup(0), "r", encoding="utf-8")
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return requests, replies


def find_device(backend: str) -> WorkerDevice:
    """Make the device whose class is given as ``module:class``."""
    module, _, name = backend.partition(":")
    found = reduce(getattr, name.split("."), importlib.import_module(module))
    device = found()  # type: ignore[operator]
    if not isinstance(device, WorkerDevice):
        raise DeviceError(f"{backend} is no WorkerDevice")
    return device


def answer(device: WorkerDevice, request: dict[str, Any], pinning: Pinning) -> dict[str, Any]:
    """The result of a measurement, or the error that it ended with."""
    try:
        return {"result": measure(device, request, pinning)}
    except Exception as error:  # a failure of any kind is one row of results
        return {"error": describe_error(error)}


def describe_error(error: Exception) -> str:
    """One line for a person; our own messages need no kind in front."""
    text = str(error) if isinstance(error, DeviceError) else f"{type(error).__name__}: {error}"
    return text[:_LONGEST_ERROR]


def send(replies: IO[str], message: dict[str, Any]) -> None:
    """Write one line to the parent."""
    replies.write(json.dumps(message) + "\n")
    replies.flush()


def measure(device: WorkerDevice, request: dict[str, Any], pinning: Pinning) -> dict[str, Any]:
    """Measure one model file on the least busy cores.

    A thorough measurement loads the file three times: for a rehearsal that is thrown away, for the peak memory, and to
    be timed. The rehearsal brings the runtime's code into memory, so that loading time, first inference and memory are
    those of the model and do not depend on what this process measured before.
    """
    artifact = Artifact.from_json(request["artifact"])
    settings = MeasureSettings(**request["settings"])
    image = fixed_image(artifact.input_shape)
    cores = pinning.pin(settings.threads)
    peak_bytes = None
    if settings.thorough:
        infer_once(device, artifact, settings.threads, image)
        memory = device.peak_memory()
        infer_once(device, artifact, settings.threads, image)
        peak_bytes = memory.grown_bytes()
    environment = dict(describe_environment())
    content = artifact.read()
    loaded = []
    load_ns = time_once(lambda: loaded.append(device.load(content, artifact.input_shape, settings.threads)))
    with loaded[0] as model:
        run = model.bind(image)
        first_ns = time_once(run)
        start = time.perf_counter()
        began: list[Snapshot] = []
        samples = take_samples(run, settings, when_warm=lambda: began.append(snapshot(cores)))
        seen = compare(began[0], snapshot(cores), cores, settings.threads if device.on_cpu else 0)
    pinning.saw(seen.others)
    environment |= {**dict(seen.facts), "warmup_s": f"{began[0].monotonic_s - start:.4f}"}
    return {
        "latencies_s": [sample / 1e9 for sample in samples],
        "load_s": load_ns / 1e9,
        "first_inference_s": first_ns / 1e9,
        "peak_memory_bytes": peak_bytes,
        "environment": {**environment, **describe_task(device, artifact, settings)},
        "flags": [*sample_flags(samples, settings.ci_width), *seen.flags],
        "energy_j": None if seen.energy_j is None else seen.energy_j / len(samples),
    }


def infer_once(device: WorkerDevice, artifact: Artifact, threads: int, image: FloatArray) -> None:
    """Load a file, compute once and forget it."""
    with device.load(artifact.read(), artifact.input_shape, threads) as model:
        model.bind(image)()


def describe_task(device: WorkerDevice, artifact: Artifact, settings: MeasureSettings) -> dict[str, str]:
    """What was run, and by what."""
    return {
        "runtime": device.runtime,
        "runtime_version": device.runtime_version(),
        "delegate": device.delegate,
        "precision": artifact.precision,
        "threads": str(settings.threads),
        "batch": str(settings.batch),
        "input_shape": "x".join(map(str, artifact.input_shape)),
    }


def fixed_image(input_shape: tuple[int, int, int]) -> FloatArray:
    """The image that is measured with, the same in every process: standard normal, as normalised images are."""
    return np.random.default_rng(0).standard_normal((1, *input_shape), dtype=np.float32)


if __name__ == "__main__":
    main()
