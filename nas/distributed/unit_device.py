"""One unit of a pool, and model files that are loaded there."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

import numpy as np

from devices import Artifact, DeviceError, DeviceInfo, Measurement, MeasureSettings
from devices.device import FloatArray
from nas.distributed.lease import Lease
from nas.distributed.unit import Sent, Wanted


class UnitDevice:
    """One unit of a pool, as far as it measures.

    Args:
        lease: of the unit.
        wanted: its device.
        info: who the device has to be.
    """

    def __init__(self, lease: Lease, wanted: Wanted, info: DeviceInfo) -> None:
        self.lease = lease
        self._wanted = wanted
        self._info = info

    def measure(self, artifact: Artifact, settings: MeasureSettings) -> Measurement:
        """Measure a model file; what goes wrong with the file is a failed measurement.

        Raises:
            LostError: the unit cannot be had any more.
            DeviceError: it is not equal to the others.
        """
        try:
            sent = Sent.read(artifact)
        except DeviceError as error:
            return Measurement.failed(artifact, self._info.name, settings, str(error))
        made: Measurement = self.lease.ask("measure", self._wanted, self._info.key, sent, settings)
        return made

    def predict(self, sent: Sent, threads: int, images: FloatArray) -> FloatArray:
        """Logits ``(count, classes)`` of a model file on the unit; see ``LoadedModel``.

        Raises:
            LostError: the unit cannot be had any more.
            DeviceError: the file cannot be loaded or run, or the unit is not equal to the others.
        """
        logits: FloatArray = self.lease.ask("predict", self._wanted, self._info.key, sent, threads, images)
        return logits


class UnitModel:
    """A model file that is loaded on a unit."""

    def __init__(self, predict: Callable[[FloatArray], FloatArray], artifact: Artifact) -> None:
        self._predict, self._artifact = predict, artifact
        predict(np.zeros((0, *artifact.input_shape), dtype=np.float32))

    def predict(self, images: FloatArray) -> FloatArray:
        """See ``LoadedModel``."""
        return self._predict(images)

    def bind(self, image: FloatArray) -> Callable[[], object]:
        """See ``LoadedModel``; every call travels, so its time is not the model's."""
        return lambda: self._predict(image)

    def close(self) -> None:
        """See ``LoadedModel``; the unit lets go of a model that another comes after."""

    def __enter__(self) -> UnitModel:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
