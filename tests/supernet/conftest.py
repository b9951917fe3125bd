from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from search_spaces import Architecture, Network, SearchSpace, get_space
from supernet import TrainData
from supernet.data import ImageData, make_split, measure_preprocessing


@pytest.fixture(scope="session")
def tiny_space() -> SearchSpace:
    return get_space(
        "mobilenetv3_32",
        {"classes": 3, "resolutions": (8, 12), "widths": (0.25, 0.5), "kernels": (3, 5), "depths": (1, 2)},
    )


@pytest.fixture(scope="session")
def space_of() -> Callable[[Network], SearchSpace]:
    """Makes a space of one network, for those that no space has."""

    class OneNetwork(SearchSpace):
        name = "one"
        decisions = ()

        def __init__(self, network: Network) -> None:
            self._network = network

        def lower(self, arch: Architecture) -> Network:
            return self._network

    return OneNetwork


@pytest.fixture(scope="session")
def coloured_squares() -> TrainData:
    """Three classes told apart by their mean colour: learned in a few steps."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), 40)
    images = rng.integers(0, 120, (120, 12, 12, 3))
    images[np.arange(120), :, :, labels] += 135
    data = ImageData(images.astype(np.uint8), labels.astype(np.int64), ("red", "green", "blue"))
    split = make_split(data.labels, validation=0.2, test=0.2, calibration=32, seed=0)
    return TrainData(data, split, measure_preprocessing(data.images, split.train))
