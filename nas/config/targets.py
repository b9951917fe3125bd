"""Targets, and the devices of the user's own that they may name."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from devices import MOST_THREADS, DeviceError, Format, Precision, device_factory, device_names, get_device
from nas.config.section import FileName, Section
from search_spaces.nearest import nearest
from search_spaces.options import option_problem


class TargetSection(Section):
    """One device to be fast on, and what of each network is run there.

    Attributes:
        name: the target's name in metrics (``latency_s.<name>``), reports and folders.
        device: one of `nas devices list`, or a name that ``devices`` or a ``devices.yaml`` defines.
        precision: of the files that are measured; ``int8_symmetric`` has zero points of 0 only, as TensorRT wants it.
        format: model file the device runs; its first one if left out.
        threads: inference threads; those of ``measure`` if left out.
        options: settings of the device; they go before those of its definition.
    """

    name: FileName
    device: str
    precision: Precision = "int8"
    format: Format | None = None
    threads: int | None = Field(None, ge=1, le=MOST_THREADS)
    options: dict[str, Any] = Field(default_factory=dict)


class DeviceSection(Section):
    """A device of the user's own: a backend with its options, under a name that targets can use.

    Attributes:
        name: the device's name.
        backend: one of `nas devices list`.
        options: settings of the backend.
    """

    name: FileName
    backend: str
    options: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _can_be_made(self) -> DeviceSection:
        if self.backend not in device_names():
            raise ValueError(f"there is no backend {self.backend!r}{nearest(self.backend, device_names())}")
        if self.name in device_names():
            raise ValueError(f"{self.name!r} is a device already; choose another name")
        check_device_options(f"device {self.name!r}: options", self.backend, self.options)
        try:
            get_device(self.backend, self.options)
        except DeviceError as error:
            raise ValueError(f"device {self.name!r}: {error}") from error
        return self


def check_device_options(place: str, backend: str, options: dict[str, Any]) -> None:
    """Check that a device has these settings, as far as its signature tells.

    Args:
        place: where a config has them, such as ``targets.0.options``.
        backend: one of ``device_names()``.
        options: by name.

    Raises:
        ValueError: a setting that the device does not have or of another type.
    """
    if problem := option_problem(place, repr(backend), device_factory(backend), options):
        raise ValueError(problem)
