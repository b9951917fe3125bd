"""Devices that a program beside the runtime times: it is started for a file and leaves its figures behind."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from devices.artifact import Artifact
from devices.environment import describe_environment
from devices.errors import DeviceError
from devices.file_device import FileDevice
from devices.measurement import Measurement, MeasureSettings

Facts = dict[str, str]
_LONGEST_ERROR = 2000


@dataclass(frozen=True, slots=True)
class Timed:
    """What a program found: the fields of a ``Measurement`` that it can tell."""

    latencies_s: tuple[float, ...]
    load_s: float | None
    first_inference_s: float | None = None
    flags: tuple[str, ...] = ()


class ProgramDevice(FileDevice):
    """A device that is measured by a program; a subclass says how that is called and read."""

    @abstractmethod
    def _time(self, artifact: Artifact, settings: MeasureSettings, environment: Facts) -> Timed:
        """Time a file that is what it was described as; what is found out on the way is added to the environment.

        Raises:
            DeviceError: it could not be timed.
        """

    def measure(self, artifact: Artifact, settings: MeasureSettings) -> Measurement:
        """Measure a model file. Whatever goes wrong is a failed measurement, never an exception."""
        environment = self._surroundings()
        try:
            self._check(artifact, settings)
            artifact.read()
            timed = self._time(artifact, settings, environment)
        except Exception as error:  # whatever a program wrote or a disk refused is one row of results
            told = str(error) if isinstance(error, DeviceError) else f"{type(error).__name__}: {error}"
            return Measurement.failed(artifact, self.name, settings, told[:_LONGEST_ERROR], tuple(environment.items()))
        return Measurement(
            artifact_sha256=artifact.sha256,
            format=artifact.format,
            precision=artifact.precision,
            device=self.name,
            settings=settings,
            latencies_s=timed.latencies_s,
            load_s=timed.load_s,
            first_inference_s=timed.first_inference_s,
            environment=tuple(environment.items()),
            flags=timed.flags,
        )

    def close(self) -> None:
        """Nothing is running between measurements."""

    def _surroundings(self) -> Facts:
        """What is known before anything is asked of the device."""
        return dict(describe_environment())

    def _check_texts(self, kind: str, options: Mapping[str, object]) -> None:
        """Raise DeviceError for an option that is neither a usable text nor left out.

        Args:
            kind: what is to be given, for the message.
            options: by their names.
        """
        for option, text in options.items():
            if text is not None and (not isinstance(text, str) or not text or "\0" in text):
                raise DeviceError(f"{self.name} option {option} is {text!r}; give a {kind}")


def add_states(environment: Facts, before: Mapping[str, str], after: Mapping[str, str]) -> None:
    """Add the state of a device before and after it was timed to the environment."""
    environment |= {f"{name}_before": text for name, text in before.items()}
    environment |= {f"{name}_after": text for name, text in after.items()}
