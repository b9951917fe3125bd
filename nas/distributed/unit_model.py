"""Model files that are loaded on a unit of a pool."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

import numpy as np

from devices import Artifact, DeviceError
from devices.device import FloatArray


class UnitModel:
    """A model file that is loaded where there is a unit to be had.

    Args:
        predict: asks the unit.
        close: gives it back.
        artifact: the file.
    """

    def __init__(
        self, predict: Callable[[FloatArray], FloatArray], close: Callable[[], None], artifact: Artifact
    ) -> None:
        self._predict, self._close, self._artifact = predict, close, artifact
        predict(np.zeros((0, *artifact.input_shape), dtype=np.float32))

    def predict(self, images: FloatArray) -> FloatArray:
        """See ``LoadedModel``."""
        if not len(images):  # which would only load it
            raise DeviceError(
                f"images have shape {images.shape}; this model takes (count, *{self._artifact.input_shape})"
            )
        return self._predict(images)

    def bind(self, image: FloatArray) -> Callable[[], object]:
        """See ``LoadedModel``; every call travels, so its time is not the model's."""
        return lambda: self.predict(image)

    def close(self) -> None:
        """See ``LoadedModel``."""
        self._close()

    def __enter__(self) -> UnitModel:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
