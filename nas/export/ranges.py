"""Ranges of a network's intermediate values over calibration images, from which INT8 scales are made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from statistics import median
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nas.export.errors import ExportError
from search_spaces.network import Network

BATCH = 16
"""Images run at a time: enough to hide the cost per call, few enough for every intermediate value to fit in memory."""


class RangeObserver:
    """Smallest and largest value of every tensor seen so far."""

    def __init__(self) -> None:
        self._ranges: dict[str, tuple[float, float]] = {}

    def observe(self, name: str, values: NDArray[Any]) -> None:
        """Widen the range of a tensor by these values."""
        low, high = self._ranges.get(name, (np.inf, -np.inf))
        self._ranges[name] = (min(low, float(values.min())), max(high, float(values.max())))

    def ranges(self) -> dict[str, tuple[float, float]]:
        """(minimum, maximum) by tensor name."""
        return dict(self._ranges)


@dataclass(frozen=True)
class KnownRanges:
    """Ranges found on one network of a space, lent to the others for files that are only timed.

    An integer kernel takes as long with one scale as with another. What the file computes is of no use.

    Attributes:
        by_tensor: (minimum, maximum) by tensor name.
    """

    by_tensor: Mapping[str, tuple[float, float]]

    @cached_property
    def usual(self) -> tuple[float, float]:
        """The median range, for tensors that the network did not have."""
        if not self.by_tensor:
            return -1.0, 1.0
        lows, highs = zip(*self.by_tensor.values(), strict=True)
        return min(0.0, median(lows)), max(1e-3, median(highs))

    def of(self, name: str) -> tuple[float, float]:
        """The range of a tensor."""
        return self.by_tensor.get(name, self.usual)


Calibration: TypeAlias = NDArray[np.float32] | KnownRanges
"""Where INT8 ranges come from: images ``(images, *input shape)`` that the network runs on, or another network."""


def check_images(network: Network, images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Calibration images as they are needed.

    Raises:
        ExportError: there are none, they do not have the network's input shape, or a value is not finite.
    """
    wanted = network.input.shape
    if images.ndim != len(wanted) + 1 or images.shape[1:] != wanted or not len(images):
        raise ExportError(
            f"calibration images have shape {images.shape}; give at least one normalised image of shape {wanted}: "
            f"(images, {', '.join(map(str, wanted))})"
        )
    if not np.isfinite(images).all():
        raise ExportError("calibration images hold values that are not finite; normalise them first")
    return np.ascontiguousarray(images, np.float32)
