"""What files that are only timed borrow from the largest network of their space, found once instead of for each.

Neither the values of weights nor the scales of integers change how long a kernel takes, so networks to be timed need
none of their own. They must be such that no value overflows or dies away, which slows float kernels down: statistics of
the same layers in the largest network see to that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from devices import Format
from nas.export import KnownRanges, Weights, known_ranges
from nas.export.artifacts import Variant
from search_spaces import Network
from search_spaces.network import Conv
from supernet import NormStatistics, StandaloneNetwork, SubnetEvaluator
from supernet.data import resize


class Lent:
    """Statistics and ranges of the largest network, lent to any other.

    Args:
        evaluator: the trained supernet, and the images that batch-norm statistics are estimated on.
        calibration: normalised training images ``(count, 3, height, width)`` that give the ranges of INT8.
        variants: kinds of files that ranges are needed for.
    """

    def __init__(self, evaluator: SubnetEvaluator, calibration: Tensor, variants: Sequence[Variant]) -> None:
        self._evaluator = evaluator
        self._calibration = calibration
        self._variants = variants

    @cached_property
    def ranges(self) -> Mapping[Format, KnownRanges]:
        """INT8 ranges of the largest network by format."""
        network = self._largest
        images = images_for(network, self._calibration)
        return known_ranges(network, self.weights(network), images, self._variants)

    def weights(self, network: Network) -> Weights:
        """A network's own weights, with the largest network's statistics folded in."""
        return self.module(network).deployed_weights()

    def module(self, network: Network) -> StandaloneNetwork:
        """A network with its own weights and the largest network's statistics."""
        statistics = {
            node.name: self._statistics_of(node.name, node.op.out_channels)
            for node in network.nodes
            if isinstance(node.op, Conv) and node.op.norm
        }
        return self._evaluator.supernet.extract(network, statistics)

    @cached_property
    def _largest(self) -> Network:
        space = self._evaluator.supernet.space
        return space.lower(space.canonical(space.largest()))

    @cached_property
    def _statistics(self) -> NormStatistics:
        return self._evaluator.statistics(self._largest)

    def _statistics_of(self, name: str, channels: int) -> tuple[Tensor, Tensor]:
        """Mean and variance for so many channels; standard ones where the largest network has none."""
        mean, variance = torch.zeros(channels), torch.ones(channels)
        if name in self._statistics:
            known = self._statistics[name]
            count = min(channels, len(known[0]))
            mean[:count], variance[:count] = known[0][:count].cpu(), known[1][:count].cpu()
        return mean, variance


def images_for(network: Network, calibration: Tensor) -> NDArray[np.float32]:
    """The calibration images at the network's resolution."""
    array: NDArray[np.float32] = resize(calibration, network.input.shape[-1]).contiguous().numpy()
    return array
