"""What runs where a leased device is: one Ray actor for each unit, and whoever holds the actor holds the unit."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import nas.torch_devices  # noqa: F401 (registers them: a unit may be one)
from devices import Artifact, Device, DeviceError, DeviceInfo, Format, LoadedModel, Measurement, MeasureSettings
from devices import get_device as make_device
from devices.device import FloatArray
from devices.measurement import REFUSED
from nas.distributed.sharing import LostError, UnfitError


@dataclass(frozen=True)
class Wanted:
    """Which device a unit is.

    Attributes:
        backend: its registered name.
        options: of the backend.
    """

    backend: str
    options: Mapping[str, Any]

    def make(self) -> Device:
        """The device, in this process.

        Raises:
            DeviceError: options that the device does not have or cannot use.
        """
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


def offer_of(wanted: Wanted) -> Offer:
    """What the device is that is here; nothing is measured."""
    device = wanted.make()
    try:
        reason = device.unavailable_reason()
        return Offer(device.formats, device.info(), reason)
    finally:
        device.close()


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

    @contextmanager
    def put(self, folder: Path) -> Iterator[Artifact]:
        """The file in a folder, for the length of the block.

        Raises:
            UnfitError: it cannot be written there.
        """
        path = folder / self.artifact.path.name
        try:
            path.write_bytes(self.content)
        except OSError as error:
            path.unlink(missing_ok=True)
            raise UnfitError(f"the model file cannot be written on its machine ({error})") from error
        try:
            yield replace(self.artifact, path=path)
        finally:
            path.unlink(missing_ok=True)


class UnitProcess:
    """A Ray actor that measures on one unit, one thing after the other; model files come with each request.

    Ray may end it and begin it again between any two requests.
    """

    def __init__(self, wanted: Wanted) -> None:
        self._device = wanted.make()
        self._folder = tempfile.TemporaryDirectory(prefix="unit-")
        self._loaded: tuple[str, int, LoadedModel] | None = None

    def check(self, key: str) -> None:
        """Return if the device works and is who it has to be.

        Raises:
            LostError: it cannot be used.
            DeviceError: it is another one.
        """
        self._check_works()
        info = self._device.info()
        if info.key != key:
            self._check_works()  # else nobody knows who it is
            raise DeviceError(
                f"the units of a pool have to be equal: one is {key}, another {info.key} ({info.cpu}, {info.runtime} "
                f"{info.runtime_version}); give unlike ones devices of their own"
            )

    def measure(self, sent: Sent, settings: MeasureSettings) -> Measurement:
        """Measure a model file; what goes wrong with the file is a failed measurement.

        Raises:
            LostError: the device cannot be used any more.
            UnfitError: it could not be used from the beginning.
        """
        with sent.put(Path(self._folder.name)) as artifact:
            made = self._device.measure(artifact, settings)
        if not made.ok:
            self._check_works(UnfitError if REFUSED in dict(made.environment) else LostError)
        return made

    def predict(self, sent: Sent, threads: int, images: FloatArray) -> FloatArray:
        """Run images through a model file, which stays loaded until there is another; none only loads it.

        Raises:
            LostError: the device cannot be used any more.
            UnfitError: it could not be used from the beginning.
            DeviceError: it cannot load or run the file.
        """
        try:
            model = self._load(sent, threads)
            return model.predict(images) if len(images) else images
        except DeviceError as error:
            self._check_works()
            raise DeviceError(str(error)) from None  # not all kinds of it can travel

    def close(self) -> None:
        """Stop what the device keeps running."""
        self._unload()
        self._device.close()
        self._folder.cleanup()

    def _check_works(self, otherwise: type[LostError] = LostError) -> None:
        reason = self._device.unavailable_reason()
        if reason is not None:
            raise otherwise(reason)

    def _load(self, sent: Sent, threads: int) -> LoadedModel:
        if self._loaded is None or self._loaded[:2] != (sent.artifact.sha256, threads):
            self._unload()
            with sent.put(Path(self._folder.name)) as artifact:
                model = self._device.open(artifact, threads)
            self._loaded = (sent.artifact.sha256, threads, model)
        return self._loaded[2]

    def _unload(self) -> None:
        if self._loaded is not None:
            self._loaded[2].close()
            self._loaded = None
