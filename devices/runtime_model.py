"""What every model loaded into a runtime of this machine has in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import TypeVar

import numpy as np

from devices.device import FloatArray
from devices.errors import DeviceError

_Model = TypeVar("_Model", bound="RuntimeModel")


class RuntimeModel(ABC):
    """A loaded model file; a subclass says how its runtime takes an image and computes.

    Args:
        input_shape: ``(channels, height, width)`` of the image.
    """

    def __init__(self, input_shape: tuple[int, int, int]) -> None:
        self._input_shape = input_shape

    @abstractmethod
    def bind(self, image: FloatArray) -> Callable[[], object]:
        """Lay one image ``(1, channels, height, width)`` ready; every call of the result is one inference on it."""

    @abstractmethod
    def _infer(self, image: FloatArray) -> FloatArray:
        """Logits ``(1, classes)`` of one image ``(1, channels, height, width)``."""

    @abstractmethod
    def close(self) -> None:
        """Free the runtime's memory; the model cannot be used afterwards."""

    def predict(self, images: FloatArray) -> FloatArray:
        """Run images through the model, one by one.

        Args:
            images: normalised, ``(count, channels, height, width)``, at least one.

        Returns:
            Logits, ``(count, classes)``.

        Raises:
            DeviceError: images of another shape, or an inference that failed.
        """
        if images.ndim != 4 or images.shape[1:] != self._input_shape or not len(images):
            raise DeviceError(f"images have shape {images.shape}; this model takes (count, *{self._input_shape})")
        images = np.ascontiguousarray(images, dtype=np.float32)
        try:
            return np.concatenate([self._infer(images[i : i + 1]) for i in range(len(images))])
        except Exception as error:  # every runtime has its own kinds
            raise DeviceError(f"the runtime could not compute: {error}") from error

    def __enter__(self: _Model) -> _Model:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
