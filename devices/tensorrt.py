"""TensorRT on a Jetson or another NVIDIA GPU, measured by its own ``trtexec``."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import tempfile
from pathlib import Path
from typing import ClassVar

from devices.artifact import Artifact, Format
from devices.device import DeviceInfo, LoadedModel
from devices.engines import engines_folder, use_engine
from devices.environment import board_model, cpu_model
from devices.errors import DeviceError
from devices.gpu import gpu_model
from devices.interval import sample_flags
from devices.jetson_state import moved, read_board, read_power_mode
from devices.measurement import MeasureSettings
from devices.onnxruntime_cpu import OnnxRuntimeCPU
from devices.program import Deadline, run_program
from devices.program_device import Facts, ProgramDevice, Timed, add_states
from devices.registry import register_device
from devices.trtexec import build_arguments, check_passed, parse_times, parse_version, time_arguments

_JETPACK = "/usr/src/tensorrt/bin/trtexec"
"""Where Jetson's own packages put it, which is on nobody's PATH."""
_REMEDY = (
    "on a Jetson install it with `apt install libnvinfer-bin`, elsewhere with NVIDIA's TensorRT, and give the option "
    f"trtexec its path if it is neither on the PATH nor {_JETPACK}"
)
_ASK_TIMEOUT_S = 60.0
"""The first start of CUDA on a small board takes its time."""


@register_device("tensorrt")
class TensorRTDevice(ProgramDevice):
    """TensorRT on a Jetson or another NVIDIA GPU, timed by trtexec: ONNX files, float32 and INT8.

    An engine is built once for a file and kept under the digests of the file and of all that it depends on; the longest
    unused ones go when all take more than 4 GiB. GPU and power mode are part of who the device is: figures of two are
    never mixed.

    Args:
        trtexec: name or path of the program; looked for if left out.
        fp16: whether layers may be computed in half precision.
        cuda_graph: whether an inference is started as one recorded graph.
        cache: folder of the engines; ``~/.cache/hwnas/engines`` if left out.

    Raises:
        DeviceError: a value of the wrong kind.
    """

    name: ClassVar[str] = "tensorrt"
    formats: ClassVar[tuple[Format, ...]] = ("onnx",)

    def __init__(
        self, *, trtexec: str | None = None, fp16: bool = False, cuda_graph: bool = True, cache: str | None = None
    ) -> None:
        self._check_texts("path", {"trtexec": trtexec, "cache": cache})
        for option, value in {"fp16": fp16, "cuda_graph": cuda_graph}.items():
            if not isinstance(value, bool):
                raise DeviceError(f"tensorrt option {option} is {value!r}; give true or false")
        self._wanted, self._fp16, self._cuda_graph = trtexec, fp16, cuda_graph
        self._cache = Path(cache).expanduser() if cache is not None else engines_folder("engines")
        self._version: str | None = None

    def info(self) -> DeviceInfo:
        """Who the device is; works even where TensorRT is missing."""
        try:
            version = self._runtime_version()
        except DeviceError:
            version = "missing"
        options = {
            "fp16": str(self._fp16),
            "cuda_graph": str(self._cuda_graph),
            "power_mode": read_power_mode() or "unknown",
            "gpu": gpu_model(),
        }
        return DeviceInfo(
            name=self.name,
            kind="gpu",
            runtime="tensorrt",
            runtime_version=version,
            cpu=cpu_model(),
            cores=os.cpu_count() or 1,
            machine=platform.machine(),
            system=platform.system(),
            options=tuple(options.items()),
        )

    def unavailable_reason(self) -> str | None:
        """Why nothing can be measured here and what to do about it, or none."""
        try:
            self._runtime_version()
        except DeviceError as error:
            return str(error)
        return None

    def open(self, artifact: Artifact, threads: int = 1) -> LoadedModel:
        """Load the file into ONNX Runtime on the processor: trtexec times engines and gives no results of theirs.

        Raises:
            DeviceError: as the device ``onnxruntime_cpu`` does.
        """
        self._check_format(artifact)
        return OnnxRuntimeCPU().open(artifact, threads)

    def _time(self, artifact: Artifact, settings: MeasureSettings, environment: Facts) -> Timed:
        """Build the engine, if it is not there, and time it."""
        deadline = Deadline(settings.timeout_s)
        version, program, gpu = self._runtime_version(), self._program(), gpu_model()
        environment |= {"runtime": "tensorrt", "runtime_version": version, "fp16": str(self._fp16)}
        environment |= {"cuda_graph": str(self._cuda_graph), "board": board_model(), "gpu": gpu}
        engine = self._engine(program, artifact, (version, gpu), deadline)
        before = _state()
        with tempfile.TemporaryDirectory(prefix="hwnas-") as folder:
            times = Path(folder) / "times.json"
            command = time_arguments(program, engine, times, settings, cuda_graph=self._cuda_graph)
            done = run_program(command, deadline.left_s(), lasting=True)
            check_passed(done, f"time {artifact.path.name}")
            left = times.read_text(encoding="utf-8") if times.is_file() else ""
            trace = parse_times(left, done.stdout, settings.min_warmup_s)
        after = _state()
        add_states(environment, before, after)
        doubt = moved(before, after)
        if doubt:
            environment["doubt"] = doubt
        environment["gpu_compute_median_s"] = repr(trace.compute_median_s)
        governor = ("governor",) if doubt else ()
        flags = (*sample_flags(trace.latencies_s, settings.ci_width), *governor)
        return Timed(trace.latencies_s, trace.load_s, flags=flags)

    def _engine(self, program: str, artifact: Artifact, builder: tuple[str, str], deadline: Deadline) -> Path:
        """The engine of a file, built if it is not there; two processes that build the same one do no harm.

        Args:
            program: trtexec.
            artifact: the file.
            builder: version of TensorRT, and the GPU.
            deadline: of the building.
        """
        parts = [artifact.sha256, artifact.precision, *builder, cpu_model(), self._fp16]
        engine = self._cache / f"{hashlib.sha256(json.dumps(parts).encode()).hexdigest()}.engine"
        if engine.is_file():
            use_engine(engine)
            return engine
        try:
            self._cache.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".building-", dir=self._cache) as folder:
                made = Path(folder) / "made.engine"
                command = build_arguments(program, artifact, made, fp16=self._fp16)
                done = run_program(command, deadline.left_s(), lasting=True)
                check_passed(done, f"build an engine of {artifact.path.name}")
                made.replace(engine)
            use_engine(engine)
        except OSError as error:
            raise DeviceError(
                f"the engine cannot be kept in {self._cache} ({error}); give the option cache another place"
            ) from error
        return engine

    def _program(self) -> str:
        if self._wanted is not None:
            return str(Path(self._wanted).expanduser()) if "/" in self._wanted else self._wanted
        return shutil.which("trtexec") or _JETPACK

    def _runtime_version(self) -> str:
        """TensorRT's version as trtexec tells it; asked once."""
        if self._version is None:
            done = run_program([self._program(), "--help"], _ASK_TIMEOUT_S, remedy=_REMEDY)
            version = parse_version(done.stdout + done.stderr)
            if version is None:
                raise DeviceError(
                    f"{self._program()} does not tell a TensorRT version ({done.last_words(1)}); {_REMEDY}"
                )
            self._version = version
        return self._version


def _state() -> dict[str, str]:
    mode = read_power_mode()
    return {**({"power_mode": mode} if mode else {}), **read_board()}
