"""From stored images to network inputs: one definition for training, evaluation and deployment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from supernet.errors import DataError

PerChannel: TypeAlias = tuple[float, float, float]
_METHOD = {
    "colour": "RGB",
    "value_scale": 1 / 255,
    "stored_resize": "centre square, bilinear with antialiasing",
    "input_resize": "bilinear, half-pixel centres, no antialiasing",
}
_CHUNK = 4096
_SMALLEST_STD = 1 / 255


@dataclass(frozen=True)
class Preprocessing:
    """All that turns an RGB image into a network's input.

    In order: the centre square is scaled to ``stored_size`` (``fit_images``), values are divided by 255, the mean is
    taken off and the rest divided by the standard deviation, and the result is resized to the network's resolution
    where that differs (``resize``).

    Attributes:
        mean: of red, green and blue, on the scale 0 to 1.
        std: standard deviations, on the same scale.
        stored_size: height and width of stored images, px.

    Raises:
        DataError: a standard deviation or a size that is not positive.
    """

    mean: PerChannel
    std: PerChannel
    stored_size: int

    def __post_init__(self) -> None:
        """Check that inputs can be computed."""
        if not (min(self.std) > 0 and self.stored_size > 0):
            given = f"std {self.std} and stored_size {self.stored_size}"
            raise DataError(f"preprocessing: {given} were given; allowed: positive numbers")

    def normalise(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Stored images of shape ``(N, H, W, 3)`` as inputs of shape ``(N, 3, H, W)``, contiguous."""
        return self.normalise_tensor(torch.from_numpy(np.ascontiguousarray(images))).contiguous().numpy()

    def normalise_tensor(self, images: Tensor) -> Tensor:
        """The same for uint8 tensors on any device; the result's memory format is channels-last."""
        count, height, width, _ = images.shape
        std = torch.tensor(self.std, dtype=torch.float64)
        scale = (1 / (255 * std)).float().repeat(width).to(images.device)
        shift = (-torch.tensor(self.mean, dtype=torch.float64) / std).float().repeat(width).to(images.device)
        # Whole rows at once: a last axis of 3 would leave most of every vector instruction idle.
        rows = torch.addcmul(shift, images.reshape(count * height, width * 3).float(), scale)
        return rows.view(count, height, width, 3).permute(0, 3, 1, 2)

    def inputs(self, images: NDArray[np.uint8], resolution: int) -> NDArray[np.float32]:
        """Stored images of shape ``(N, H, W, 3)`` as inputs of shape ``(N, 3, resolution, resolution)``."""
        normalised = self.normalise_tensor(torch.from_numpy(np.ascontiguousarray(images)))
        return resize(normalised, resolution).contiguous().numpy()

    def to_json(self) -> dict[str, Any]:
        """As plain values; ``from_json`` reads them back, and a person can follow them."""
        return {**_METHOD, "mean": list(self.mean), "std": list(self.std), "stored_size": self.stored_size}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Preprocessing:
        """What ``to_json`` gave.

        Raises:
            DataError: values missing, of another kind, or of a method that this version does not have.
        """
        for name, known in _METHOD.items():
            if values.get(name) != known:
                raise DataError(f"preprocessing: {name} is {values.get(name)!r}; this version knows {known!r} only")
        try:
            mean, std = (_per_channel(values[name]) for name in ("mean", "std"))
            return cls(mean, std, int(values["stored_size"]))
        except (KeyError, OverflowError, TypeError, ValueError) as error:
            raise DataError(
                f"preprocessing {dict(values)!r} cannot be read ({error}); give what to_json wrote"
            ) from error


def measure_preprocessing(images: NDArray[np.uint8], indices: NDArray[np.int64] | None = None) -> Preprocessing:
    """Preprocessing with the exact mean and standard deviation of images.

    Args:
        images: shape ``(N, H, W, 3)``.
        indices: which of them to count, the training ones; None counts all.
    """
    chosen = np.arange(len(images)) if indices is None else indices
    histogram = np.zeros((3, 256), np.int64)
    for start in range(0, len(chosen), _CHUNK):
        part = images[chosen[start : start + _CHUNK]]
        for channel in range(3):
            histogram[channel] += np.bincount(part[..., channel].ravel(), minlength=256)
    values = np.arange(256) / 255
    weights = histogram / histogram.sum(axis=1, keepdims=True)
    mean = weights @ values
    std = np.sqrt((weights * (values - mean[:, None]) ** 2).sum(axis=1))
    # A channel that is the same everywhere must not be divided by zero.
    return Preprocessing(_per_channel(mean), _per_channel(np.maximum(std, _SMALLEST_STD)), images.shape[1])


def resize(images: Tensor, resolution: int) -> Tensor:
    """Images of shape ``(N, C, H, W)``, float, at a network's resolution: ``(N, C, resolution, resolution)``.

    Bilinear with half-pixel centres and no antialiasing; the supernet and the inputs of exported files use this one.
    """
    if images.shape[2:] == (resolution, resolution):
        return images
    return F.interpolate(images, (resolution, resolution), mode="bilinear", align_corners=False, antialias=False)


def _per_channel(values: Any) -> PerChannel:  # noqa: ANN401 (comes from JSON or NumPy)
    red, green, blue = (float(value) for value in values)
    return red, green, blue
