"""Batch-norm statistics of one sub-network, re-estimated on training images (Cai et al. 2020; Yu et al. 2020)."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from search_spaces import Architecture, Network
from supernet.errors import SupernetError
from supernet.interpreter import Supernet
from supernet.operations import NormStatistics


@torch.no_grad()
def estimate_statistics(supernet: Supernet, arch: Architecture | Network, images: Iterable[Tensor]) -> NormStatistics:
    """Mean and variance of every batch norm's input over all images together.

    Each batch is normalised by its own statistics on the way, so batches should be large (hundreds of images).

    Args:
        supernet: the weights.
        arch: which sub-network.
        images: normalised batches ``(batch, 3, height, width)``.

    Returns:
        By node name: mean and unbiased variance, each float32 of shape ``(channels,)``.

    Raises:
        SupernetError: no images.
    """
    network = supernet.space.lower(arch) if isinstance(arch, Architecture) else arch
    sums: dict[str, Tensor] = {}
    squares: dict[str, Tensor] = {}
    values: dict[str, int] = {}
    count = 0
    for batch in images:
        collected: dict[str, tuple[Tensor, Tensor]] = {}
        supernet(batch, network, collect=collected)
        count += len(batch)
        weight = len(batch)
        for name, moments in collected.items():
            mean, variance = (moment.double() for moment in moments)
            sums[name] = sums.get(name, torch.zeros_like(mean)) + weight * mean
            squares[name] = squares.get(name, torch.zeros_like(mean)) + weight * (variance + mean * mean)
            height, width = network.by_name[name].shape[1:]
            values[name] = values.get(name, 0) + weight * height * width
    if count == 0:
        raise SupernetError("batch-norm statistics were asked for without images; give at least one batch")
    statistics = {}
    for name, total in sums.items():
        mean = total / count
        variance = (squares[name] / count - mean * mean).clamp_min(0) * values[name] / max(values[name] - 1, 1)
        statistics[name] = (mean.float(), variance.float())
    return statistics
