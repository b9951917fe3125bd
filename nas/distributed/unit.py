"""What runs where a leased device is: one Ray actor for each unit, and whoever holds the actor holds the unit."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from devices import Artifact, Device, DeviceError, DeviceInfo, Format, LoadedModel, Measurement, MeasureSettings
from devices import get_device as make_device
from devices.device import FloatArray
from nas.distributed.sharing import LostError


@dataclass(frozen=True)
class Wanted:
    """Which device a unit is asked for.

    Attributes:
        backend: its registered name.
        options: of the backend.
    """

    backend: str
    options: Mapping[str, Any]

    def make(self) -> Device:
        """The device, in this process."""
        return make_device(self.backend, self.options)


@dataclass(frozen=True)
class Offer:
    """What a unit says of its device.

    Attributes:
        formats: kinds of files it can run.
        info: who it is.
        unavailable_reason: why it cannot be used, if it cannot.
    """

    formats: tuple[Format, ...]
    info: DeviceInfo
    unavailable_reason: str | None


@dataclass(frozen=True)
class Sent:
    """A model file on its way to another machine.

    Attributes:
        artifact: the file, wherever it was.
        content: its bytes.
    """

    artifact: Artifact
    content: bytes

    @classmethod
    def read(cls, artifact: Artifact) -> Sent:
        """The file with its bytes.

        Raises:
            DeviceError: a file that cannot be read, or that has changed.
        """
        return cls(artifact, artifact.read())

    def put(self, folder: Path) -> Artifact:
        """The file in a folder."""
        path = folder / self.artifact.path.name
        path.write_bytes(self.content)
        return replace(self.artifact, path=path)


def offer_of(wanted: Wanted) -> Offer:
    """What the device is that is here; nothing is measured.

    Raises:
        DeviceError: options that the device does not have or cannot use.
    """
    device = wanted.make()
    try:
        reason = device.unavailable_reason()
        return Offer(device.formats, device.info(), reason)
    finally:
        device.close()


class UnitProcess:
    """A Ray actor that measures on one unit, one thing after the other; model files come with each request."""

    def __init__(self) -> None:
        self._devices: dict[str, Device] = {}
        self._model: tuple[Any, LoadedModel] | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="unit-")

    def node(self) -> str:
        """Which machine of the cluster this is."""
        import ray  # noqa: PLC0415 (takes a second; what is asked without a cluster does not need it)

        return str(ray.get_runtime_context().get_node_id())

    def measure(self, wanted: Wanted, key: str, sent: Sent, settings: MeasureSettings) -> Measurement:
        """Measure a model file.

        Args:
            wanted: on which device.
            key: who the device has to be.
            sent: the file.
            settings: how to measure.

        Raises:
            LostError: the device cannot be used any more.
            DeviceError: it is another one than it has to be.
        """
        device = self._device(wanted, key)
        made = device.measure(sent.put(Path(self._folder.name)), settings)
        reason = None if made.ok else device.unavailable_reason()
        if reason is not None:
            raise LostError(reason)
        return made

    def predict(self, wanted: Wanted, key: str, sent: Sent, threads: int, images: FloatArray) -> FloatArray:
        """Run images through a model file, which stays loaded until there is another; none only loads it.

        Raises:
            LostError: the device cannot be used any more.
            DeviceError: it is another one than it has to be, or cannot load or run the file.
        """
        device, which = self._device(wanted, key), (wanted.backend, sent.artifact.sha256, threads)
        if self._model is None or self._model[0] != which:
            self._unload()
            self._model = (which, device.open(sent.put(Path(self._folder.name)), threads))
        return self._model[1].predict(images) if len(images) else images

    def close(self) -> None:
        """Stop what the devices keep running."""
        self._unload()
        for device in self._devices.values():
            device.close()
        self._folder.cleanup()

    def _device(self, wanted: Wanted, key: str) -> Device:
        which = repr((wanted.backend, sorted(wanted.options.items())))
        if which not in self._devices:
            device = wanted.make()
            reason = device.unavailable_reason()
            if reason is not None:
                raise LostError(reason)
            if device.info().key != key:
                raise DeviceError(
                    f"the units of a pool have to be equal: one is {key}, another {device.info().key} "
                    f"({device.info().cpu}, {device.info().runtime} {device.info().runtime_version}); give unlike "
                    "ones devices of their own"
                )
            self._devices[which] = device
        return self._devices[which]

    def _unload(self) -> None:
        if self._model is not None:
            self._model[1].close()
            self._model = None
