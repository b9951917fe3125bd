"""What devices that run model files of their own formats refuse."""

from __future__ import annotations

from abc import ABC
from typing import ClassVar

from devices.artifact import Artifact, Format
from devices.errors import DeviceError
from devices.measurement import MeasureSettings


class FileDevice(ABC):
    """A device that takes model files of some formats, one image at a time."""

    name: ClassVar[str]
    formats: ClassVar[tuple[Format, ...]]

    def _check_format(self, artifact: Artifact) -> None:
        """Raise DeviceError where the device cannot run such files."""
        if artifact.format not in self.formats:
            raise DeviceError(f"{self.name} cannot run {artifact.format!r} files; it runs {list(self.formats)}")

    def _check(self, artifact: Artifact, settings: MeasureSettings) -> None:
        """Raise DeviceError where the device cannot measure such a file with such settings."""
        self._check_format(artifact)
        if settings.batch != 1:
            raise DeviceError(f"batch is {settings.batch}; model files take one image at a time: set it to 1")
