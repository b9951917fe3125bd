"""Devices whose runtime is measured in a supervised worker process on this machine."""

from __future__ import annotations

import os
import platform
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from devices.artifact import Artifact
from devices.device import DeviceInfo, LoadedModel
from devices.environment import cpu_features, cpu_model, describe_environment
from devices.errors import DeviceError
from devices.file_device import FileDevice
from devices.measurement import Measurement, MeasureSettings
from devices.memory import Peak, PeakMemory
from devices.supervisor import Supervisor


class WorkerDevice(FileDevice):
    """A runtime on this machine's processor; a subclass says how to find the runtime and how to load a file into it.

    The worker process imports the subclass by name and makes one without arguments, so it has to live in a module
    that can be imported.
    """

    runtime: ClassVar[str]
    remedy: ClassVar[str]
    """What to do where the runtime is missing."""
    delegate: ClassVar[str] = "none"
    """What inside the runtime computes the operators, for the record."""
    on_cpu: ClassVar[bool] = True
    """Whether inferences keep this machine's processor at work; where they wait for another, waiting is no harm."""

    def __init__(self) -> None:
        self._supervisor = Supervisor(f"{type(self).__module__}:{type(self).__qualname__}")

    @abstractmethod
    def runtime_version(self) -> str:
        """Import the runtime and tell its version; raises whatever the import raises.

        Raises:
            DeviceError: it is there, and cannot do what this device needs.
        """

    @abstractmethod
    def load(self, content: bytes, input_shape: tuple[int, int, int], threads: int) -> LoadedModel:
        """Load a model file's bytes into the runtime; may raise whatever the runtime raises."""

    def peak_memory(self) -> Peak:
        """Begin to watch the memory that models take; of this process, unless a subclass knows better."""
        return PeakMemory()

    def info(self) -> DeviceInfo:
        """Who the device is; works even where the runtime is missing."""
        try:
            version = self.runtime_version()
        except Exception:  # a broken installation may fail in any way
            version = "missing"
        return DeviceInfo(
            name=self.name,
            kind="cpu",
            runtime=self.runtime,
            runtime_version=version,
            cpu=cpu_model(),
            cores=os.cpu_count() or 1,
            machine=platform.machine(),
            system=platform.system(),
            # Virtual machines of unlike processors go by one name.
            options=(("cpu_features", cpu_features()),) if cpu_features() else (),
        )

    def unavailable_reason(self) -> str | None:
        """Why nothing can be measured here and what to do about it, or none."""
        try:
            self.runtime_version()
        except DeviceError as error:
            return f"{error}; {self.remedy}"
        except Exception as error:  # a broken installation may fail in any way
            return f"{self.runtime} cannot be imported ({type(error).__name__}: {error}); {self.remedy}"
        return None

    def open(self, artifact: Artifact, threads: int = 1) -> LoadedModel:
        """Load a model file into its runtime in this process, to see what it computes.

        Raises:
            DeviceError: a file that is missing, changed or malformed, of a format this device cannot run, or a runtime
                that is missing.
        """
        self._check_format(artifact)
        reason = self.unavailable_reason()
        if reason:
            raise DeviceError(reason)
        content = artifact.read()
        try:
            return self.load(content, artifact.input_shape, threads)
        except DeviceError:
            raise
        except Exception as error:  # every runtime has its own kinds
            raise DeviceError(f"{self.runtime} cannot load {artifact.path}: {error}") from error

    def measure(self, artifact: Artifact, settings: MeasureSettings) -> Measurement:
        """Measure a model file in the worker. Whatever goes wrong is a failed measurement, never an exception."""
        try:
            self._check(artifact, settings)
            place = str(artifact.path.absolute())  # the worker has another working directory
            request = {"artifact": {**artifact.to_json(), "path": place}, "settings": settings.to_json()}
            return self._measurement(artifact, settings, self._supervisor.request(request, settings.timeout_s))
        except DeviceError as error:
            return Measurement.failed(artifact, self.name, settings, str(error), describe_environment())

    def close(self) -> None:
        """Stop the worker; a later measurement starts a new one."""
        self._supervisor.close()

    def _measurement(self, artifact: Artifact, settings: MeasureSettings, reply: Mapping[str, Any]) -> Measurement:
        identity = {"artifact_sha256": artifact.sha256, "format": artifact.format, "precision": artifact.precision}
        return Measurement.from_json({**reply, **identity, "device": self.name, "settings": settings.to_json()})
