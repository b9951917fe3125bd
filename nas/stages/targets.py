"""Targets of a run: devices with what is run on them and how it is measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from devices import Device, DeviceError, Format, MeasureSettings, Precision, get_device
from nas.candidate import latency_metric
from nas.config import Config, TargetSection
from nas.distributed.pool import PooledDevice
from nas.errors import NasError
from nas.export import FILE_NAMES


@dataclass(frozen=True)
class Target:
    """A device to be fast on, the kind of model file it runs, and how it is measured."""

    name: str
    device: Device
    format: Format
    precision: Precision
    settings: MeasureSettings

    @property
    def metric(self) -> str:
        """Name of the metric that holds the latency here, in seconds."""
        return latency_metric(self.name)

    @property
    def variant(self) -> tuple[Format, Precision]:
        """The kind of model file that is run here."""
        return self.format, self.precision

    def describe(self) -> dict[str, Any]:
        """Everything about the target, for files and reports."""
        return {
            "format": self.format,
            "precision": self.precision,
            "settings": asdict(self.settings),
            "device": self.device.info().to_json(),
        }


def make_targets(config: Config, note: Callable[[str], None] = lambda _: None) -> tuple[Target, ...]:
    """The targets of a run, each checked to be usable here.

    Args:
        config: the run.
        note: told in a sentence, from any thread, what becomes of the units of pools.

    Raises:
        NasError: a device is not available on this machine, or does not run the wanted kind of file; the message
            says how to get it.
    """
    return tuple(_make_target(config, section, note) for section in config.targets)


def _make_target(config: Config, section: TargetSection, note: Callable[[str], None]) -> Target:
    (backend, options), units = config.device_of(section), config.units_of(section)
    try:
        device = PooledDevice(backend, options, units, note) if units else get_device(backend, options)
    except DeviceError as error:
        raise NasError(f"target {section.name!r}: {error}") from error
    reason = device.unavailable_reason()
    if reason is not None:
        raise NasError(f"target {section.name!r}: device {section.device!r} cannot be used here: {reason}")
    formats = device.formats
    if not formats:  # an agent that has just gone away, or is of a later version
        raise NasError(
            f"target {section.name!r}: device {section.device!r} names no kind of model file that is known here; ask "
            "`nas devices check`"
        )
    chosen = section.format or formats[0]
    if chosen not in formats:
        allowed = ", ".join(formats)
        raise NasError(f"target {section.name!r}: {section.device!r} runs no {chosen!r} files; allowed: {allowed}")
    if (chosen, section.precision) not in FILE_NAMES:
        written = " or ".join(precision for kind, precision in FILE_NAMES if kind == chosen)
        raise NasError(
            f"target {section.name!r}: no {chosen} files are written in {section.precision}; set its precision: "
            f"{written}"
        )
    measure = config.measure
    settings = measure if section.threads is None else replace(measure, threads=section.threads)
    return Target(section.name, device, chosen, section.precision, settings)
