"""What one process needs to evaluate sub-networks, and what it does with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from search_spaces import Architecture, get_space
from supernet import SubnetEvaluator, Supernet, compute_deterministically
from supernet.data import Preprocessing


class Judge:
    """Evaluates one sub-network after the other.

    Args:
        evaluator: the supernet and the images.
        threads: that it computes with.
    """

    def __init__(self, evaluator: SubnetEvaluator, threads: int) -> None:
        self._evaluator, self._threads = evaluator, threads

    def __call__(self, arch: Architecture) -> float:
        """Top-1 accuracy, 0 to 1."""
        before = torch.get_num_threads()
        torch.set_num_threads(self._threads)
        try:
            return self._evaluator.accuracy(arch)
        finally:
            torch.set_num_threads(before)


@dataclass(frozen=True)
class Images:
    """Images of the kind that ``SubnetEvaluator`` takes; some classes may have none."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class Supplies:
    """Everything that a process needs to evaluate, so that it reads no disk.

    Attributes:
        space: name of the search space.
        options: of the space.
        weights: of the supernet, by name.
        images: those that calibrate, then those that judge.
        preprocessing: how they become inputs.
        calibrating: how many of them calibrate.
        threads: that a process computes with.
        device: that it computes on, as PyTorch names it.
    """

    space: str
    options: Mapping[str, Any]
    weights: Mapping[str, NDArray[Any]]
    images: Images
    preprocessing: Preprocessing
    calibrating: int
    threads: int
    device: str

    def judge(self) -> Judge:
        """What evaluates with them."""
        supernet = Supernet(get_space(self.space, self.options))
        supernet.load_state_dict({name: torch.tensor(value) for name, value in self.weights.items()})
        supernet = supernet.requires_grad_(requires_grad=False).to(self.device)
        indices = np.arange(len(self.images.labels))
        calibration, judged = indices[: self.calibrating], indices[self.calibrating :]
        evaluator = SubnetEvaluator(supernet, self.images, self.preprocessing, calibration, judged)
        return Judge(evaluator, self.threads)


class EvaluatingProcess:
    """A Ray actor that evaluates; what it is given lies once on each machine, in Ray's object store."""

    def __init__(self, supplies: Supplies) -> None:
        compute_deterministically()
        self._judge = supplies.judge()

    def ready(self) -> None:
        """Answers when the process has begun."""

    def accuracy(self, arch: Architecture) -> float:
        """Top-1 accuracy, 0 to 1."""
        return self._judge(arch)
