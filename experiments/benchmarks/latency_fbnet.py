"""What a network of FBNet's space for 32-px images (Li et al. 2021, HW-NAS-Bench) asks of a device."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_STAGES = ((16, 1, 1), (24, 4, 1), (32, 4, 2), (64, 4, 2), (112, 4, 1), (184, 4, 2), (352, 1, 1))
_OPERATIONS = ((3, 1, 1), (3, 1, 2), (3, 3, 1), (3, 6, 1), (5, 1, 1), (5, 1, 2), (5, 3, 1), (5, 6, 1), None)
_MEASURES = ("pointwise_macs", "grouped_macs", "depthwise3_macs", "depthwise5_macs", "elements", "weights", "launches")


def fbnet_groups(file: Mapping[str, NDArray[np.generic]]) -> tuple[dict[str, Floats], dict[str, Floats], Floats]:
    """Groups of features, virtual devices and MACs of every network."""
    operations = file["op_idx"].astype(np.int64)
    layers = _layers()
    cost = layers[np.arange(len(layers)), operations]  # (networks, layers, measures)
    stage = np.repeat(np.arange(len(_STAGES)), [count for _, count, _ in _STAGES])
    by_stage = np.stack([cost[:, stage == index].sum(axis=1) for index in range(len(_STAGES))], axis=1)
    macs_by_stage = by_stage[:, :, :4].sum(axis=2)
    total = cost.sum(axis=1)
    macs = total[:, :4].sum(axis=1)
    one_hot = (operations[:, :, None] == np.arange(9)).astype(np.float64)
    stage_counts = np.stack([one_hot[:, stage == index].sum(axis=1) for index in range(len(_STAGES))], axis=1)
    groups = {
        "macs": macs[:, None],
        "elements": total[:, [4]],
        "weights": total[:, [5]],
        "launches": total[:, [6]],
        "kinds": total[:, :4],
        "counts": one_hot.sum(axis=1),
        "stage_macs": macs_by_stage,
        "stage_elements": by_stage[:, :, 4],
        "stage_launches": by_stage[:, :, 6],
        "stage_kinds": by_stage[:, :, :4].reshape(len(cost), -1),
        "stage_counts": stage_counts.reshape(len(cost), -1),
        "layers": one_hot.reshape(len(cost), -1),
    }
    quantities = {
        "macs": macs,
        "elements": total[:, 4],
        "launches": total[:, 6],
        "weights": total[:, 5],
        "macs_and_launches": macs / macs.mean() + total[:, 6] / total[:, 6].mean(),
        "macs_and_elements": macs / macs.mean() + total[:, 4] / total[:, 4].mean(),
    }
    return groups, quantities, file["flops_m"].astype(np.float64)


def _layers() -> Floats:
    """Cost of every operation in every layer, shape ``(22, 9, measures)``."""
    rows = []
    channels, side = 16, 32
    for width, count, stride in _STAGES:
        for index in range(count):
            step = stride if index == 0 else 1
            rows.append([_operation(option, channels, width, side, step) for option in _OPERATIONS])
            channels, side = width, side // step
    return np.array(rows, np.float64)


def _operation(option: tuple[int, int, int] | None, inputs: int, outputs: int, side: int, stride: int) -> list[float]:
    before, after = side**2, (side // stride) ** 2
    if option is None:
        if stride == 1 and inputs == outputs:
            return [0.0] * len(_MEASURES)
        weights = inputs * outputs
        return [weights * after, 0, 0, 0, inputs * after + outputs * after, weights, 2]
    kernel, expansion, groups = option
    middle = inputs * expansion
    pointwise = inputs * middle * before / groups + middle * outputs * after / groups
    depthwise = middle * kernel**2 * after
    elements = inputs * before + 2 * middle * before + 2 * middle * after + outputs * after
    weights = (inputs * middle + middle * outputs) / groups + middle * kernel**2
    return [
        pointwise if groups == 1 else 0,
        pointwise if groups > 1 else 0,
        depthwise if kernel == 3 else 0,
        depthwise if kernel == 5 else 0,
        elements,
        weights,
        8 + (groups > 1) + (stride == 1 and inputs == outputs),
    ]
