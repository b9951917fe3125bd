"""Accuracy of sub-networks: batch-norm statistics re-estimated, then top-1 on held-out images."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from search_spaces import Architecture, Network
from supernet.allocator import release_memory
from supernet.data import Preprocessing, eval_batches, resize
from supernet.errors import SupernetError
from supernet.interpreter import Supernet
from supernet.operations import NormStatistics
from supernet.standalone import StandaloneNetwork
from supernet.statistics import estimate_statistics

_CALIBRATION_BATCH = 256
_EVALUATION_BATCH = 250


class LabelledImages(Protocol):
    """Images with their labels, such as ``ImageData``."""

    @property
    def images(self) -> NDArray[np.uint8]:
        """Shape ``(N, H, W, 3)``."""
        ...

    @property
    def labels(self) -> NDArray[np.int64]:
        """Class indices, shape ``(N,)``."""
        ...


class SubnetEvaluator:
    """Judges sub-networks of one supernet on a fixed set of images.

    Args:
        supernet: the weights.
        data: images.
        preprocessing: how they become inputs.
        calibration: indices of the training images that batch-norm statistics are estimated on.
        judged: indices of the held-out images that accuracy is counted on.

    Raises:
        SupernetError: nothing to calibrate or to judge on.
    """

    def __init__(
        self,
        supernet: Supernet,
        data: LabelledImages,
        preprocessing: Preprocessing,
        calibration: NDArray[np.int64],
        judged: NDArray[np.int64],
    ) -> None:
        if len(calibration) == 0 or len(judged) == 0:
            raise SupernetError(
                f"{len(calibration)} calibration and {len(judged)} held-out images were given; both sets need some"
            )
        self.supernet = supernet
        device = next(supernet.parameters()).device
        # Data sets often lie class by class, and a batch of one class has statistics of its own.
        mixed = np.random.default_rng(0).permutation(calibration)
        self._calibration = list(
            eval_batches(data.images, preprocessing, _CALIBRATION_BATCH, indices=mixed, device=device)
        )
        self._judged = list(eval_batches(data.images, preprocessing, _EVALUATION_BATCH, indices=judged, device=device))
        self._labels = torch.from_numpy(data.labels[judged]).to(device)

    def statistics(self, arch: Architecture | Network) -> NormStatistics:
        """Batch-norm statistics of a sub-network, estimated on the calibration images."""
        return estimate_statistics(self.supernet, arch, self._calibration)

    def extract(self, arch: Architecture | Network) -> StandaloneNetwork:
        """A sub-network as a plain module with freshly estimated statistics."""
        return self.supernet.extract(arch, self.statistics(arch))

    @torch.inference_mode()
    def accuracy(self, arch: Architecture | Network) -> float:
        """Top-1 accuracy, 0 to 1, on the held-out images."""
        module = self.extract(arch).to(self._labels.device)
        resolution = module.network.input.shape[-1]
        predicted = torch.cat([module(resize(batch, resolution)).argmax(1) for batch in self._judged])
        # Every sub-network has tensors of other sizes: a process grew from 0.8 to 1.4 GB over 80 of them.
        release_memory()
        return (predicted == self._labels).double().mean().item()
