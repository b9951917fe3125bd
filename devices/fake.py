"""A simulated device: most of the framework can be run and tested without measuring anything."""

from __future__ import annotations

import hashlib
import json
import math
from typing import ClassVar

import numpy as np

from devices.artifact import Artifact, Format
from devices.device import DeviceInfo, LoadedModel
from devices.errors import DeviceError
from devices.file_device import FileDevice
from devices.litert_cpu import LiteRTCPU
from devices.measurement import Measurement, MeasureSettings
from devices.onnxruntime_cpu import OnnxRuntimeCPU
from devices.registry import register_device


@register_device("fake")
class FakeDevice(FileDevice):
    """Simulated device: roofline model of the counted cost with seeded noise; nothing is timed.

    An inference takes ``overhead_s`` and the longer of computing and moving data (Williams et al. 2009, the roofline
    model). INT8 moves a quarter of the bytes and computes ``int8_speedup`` times as fast. The samples depend on the
    seed, the counted cost, the kind of file and the settings, and on nothing else: not on the weights, not on the time.

    Args:
        seed: of the noise.
        macs_per_s: float32 multiply-accumulates a second on one thread.
        bytes_per_s: weights and feature maps moved a second.
        overhead_s: seconds of every inference that no network can avoid.
        noise: relative spread of the samples (sigma of a log-normal factor).
        int8_speedup: how many times faster INT8 computes.

    Raises:
        DeviceError: a number out of its range.
    """

    name: ClassVar[str] = "fake"
    formats: ClassVar[tuple[Format, ...]] = ("onnx", "tflite")

    def __init__(
        self,
        *,
        seed: int = 0,
        macs_per_s: float = 10e9,
        bytes_per_s: float = 10e9,
        overhead_s: float = 20e-6,
        noise: float = 0.02,
        int8_speedup: float = 2.0,
    ) -> None:
        positive = {"macs_per_s": macs_per_s, "bytes_per_s": bytes_per_s, "int8_speedup": int8_speedup}
        for option, value in positive.items():
            if isinstance(value, bool) or not (math.isfinite(value) and value > 0):
                raise DeviceError(f"fake device option {option} is {value!r}; give a positive number")
        if not isinstance(seed, int):
            raise DeviceError(f"fake device option seed is {seed!r}; give a whole number of at least 0")
        for option, value in {"seed": seed, "overhead_s": overhead_s, "noise": noise}.items():
            if isinstance(value, bool) or not (math.isfinite(value) and value >= 0):
                raise DeviceError(f"fake device option {option} is {value!r}; give a number of at least 0")
        self._options = {"seed": seed, "overhead_s": overhead_s, "noise": noise, **positive}
        self._seed, self._noise, self._overhead_s = seed, noise, overhead_s
        self._macs_per_s, self._bytes_per_s, self._int8_speedup = macs_per_s, bytes_per_s, int8_speedup

    def info(self) -> DeviceInfo:
        """The same on every machine, for its figures are."""
        return DeviceInfo(
            name=self.name,
            kind="simulated",
            runtime="roofline",
            runtime_version="1",
            cpu="simulated",
            cores=1,
            machine="simulated",
            system="simulated",
            options=tuple((option, repr(value)) for option, value in sorted(self._options.items())),
        )

    def unavailable_reason(self) -> str | None:
        """None: there is nothing that could be missing."""
        return None

    def open(self, artifact: Artifact, threads: int = 1) -> LoadedModel:
        """Load the file into the real runtime for its format: a simulated device computes what a real one would.

        Raises:
            DeviceError: as the real device of that format does.
        """
        self._check_format(artifact)
        real = OnnxRuntimeCPU() if artifact.format == "onnx" else LiteRTCPU()
        return real.open(artifact, threads)

    def measure(self, artifact: Artifact, settings: MeasureSettings) -> Measurement:
        """Compute ``min_count`` samples. A file that is missing, changed or of unknown cost is a failed measurement."""
        environment = (("simulated", "roofline"),)
        try:
            self._check_format(artifact)
            artifact.read()
            expected_s = self.expected_s(artifact, settings)
        except DeviceError as error:
            return Measurement.failed(artifact, self.name, settings, str(error), environment)
        factors = np.exp(self._noise * self._rng(artifact, settings).standard_normal(settings.min_count + 1))
        first, *samples = (float(sample) for sample in expected_s * factors)
        return Measurement(
            artifact_sha256=artifact.sha256,
            format=artifact.format,
            precision=artifact.precision,
            device=self.name,
            settings=settings,
            latencies_s=tuple(samples),
            load_s=0.0,
            first_inference_s=first,
            environment=environment,
        )

    def expected_s(self, artifact: Artifact, settings: MeasureSettings) -> float:
        """Latency in seconds without noise.

        Raises:
            DeviceError: an artifact whose cost was not counted.
        """
        work = artifact.workload
        if work is None:
            raise DeviceError(
                f"the fake device needs the counted cost of {artifact.path}; give Artifact.from_file a workload"
            )
        small = artifact.precision != "float32"
        element_bytes = 1 if small else 4
        macs_per_s = self._macs_per_s * settings.threads * (self._int8_speedup if small else 1.0)
        moved_bytes = element_bytes * (work.parameters + settings.batch * work.activation_elements)
        return self._overhead_s + max(settings.batch * work.macs / macs_per_s, moved_bytes / self._bytes_per_s)

    def close(self) -> None:
        """Nothing is running."""

    def _rng(self, artifact: Artifact, settings: MeasureSettings) -> np.random.Generator:
        work = artifact.workload
        cost = (work.macs, work.parameters, work.activation_elements) if work else ()
        parts = [self._seed, cost, artifact.input_shape, artifact.format, artifact.precision, settings.key]
        digest = hashlib.sha256(json.dumps(parts).encode()).digest()
        return np.random.default_rng(int.from_bytes(digest[:8], "big"))
