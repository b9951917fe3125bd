"""What a sub-network of once-for-all's MobileNetV3 (Cai et al. 2020), 1.2 times as wide, asks of a device."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_WIDTHS = (32, 48, 96, 136, 192)
_STRIDES = (2, 2, 2, 1, 2)
_SQUEEZED = (False, True, False, True, True)
_FIRST_WIDTH = 24
_BLOCKS = 4  # of a stage, at most
_KERNELS, _EXPANSIONS = (3, 5, 7), (3, 4, 6)


def ofa_groups(file: Mapping[str, NDArray[np.generic]]) -> tuple[dict[str, Floats], dict[str, Floats], Floats]:
    """Groups of features, virtual devices and MACs of every sub-network."""
    kernel, expansion = file["ks"].astype(np.float64), file["expand"].astype(np.float64)
    depth, resolution = file["depth"].astype(np.int64), file["resolution"].astype(np.float64)
    place = np.arange(kernel.shape[1])
    stage = place // _BLOCKS
    active = (place % _BLOCKS < depth[:, stage]).astype(np.float64)
    middle, elements, pointwise, depthwise = _work(kernel, expansion, resolution)
    parts = {"pointwise": pointwise * active, "depthwise": depthwise * active, "elements": elements * active}
    stages = np.eye(len(_WIDTHS))[stage]
    squeezed = np.array(_SQUEEZED, np.float64)[stage]
    options = np.concatenate(
        [
            (kernel[:, :, None] == _KERNELS) * active[:, :, None],
            (expansion[:, :, None] == _EXPANSIONS) * active[:, :, None],
        ],
        axis=2,
    )
    both = (options[:, :, :3, None] * options[:, :, None, 3:]).reshape(*kernel.shape, -1)
    size = (resolution / 224) ** 2
    macs = parts["pointwise"].sum(axis=1) + parts["depthwise"].sum(axis=1) + 12e6 * size
    launches = active.sum(axis=1) * 8 + (active * squeezed).sum(axis=1) * 6 + 10
    total = parts["elements"].sum(axis=1)
    weights = (2 * middle * np.array(_WIDTHS, np.float64)[stage] * active).sum(axis=1)
    groups = {
        "macs": macs[:, None],
        "elements": total[:, None],
        "weights": weights[:, None],
        "depth": active.sum(axis=1, keepdims=True),
        "squeezed": (active * squeezed).sum(axis=1, keepdims=True),
        "resolution": np.stack([resolution, size], axis=1),
        "resolutions": (resolution[:, None] == np.unique(resolution)).astype(np.float64),
        "kinds": np.stack([parts["pointwise"].sum(axis=1), parts["depthwise"].sum(axis=1)], axis=1),
        "stage_depth": active @ stages,
        "depths": (depth[:, :, None] == (2, 3, 4)).astype(np.float64).reshape(len(depth), -1),
        "stage_macs": (parts["pointwise"] + parts["depthwise"]) @ stages,
        "stage_elements": parts["elements"] @ stages,
        "counts": options.sum(axis=1),
        "stage_counts": np.einsum("nbo,bs->nso", options, stages).reshape(len(depth), -1),
        "pair_counts": both.sum(axis=1),
        "blocks": options.reshape(len(depth), -1),
    }
    quantities = {
        "macs": macs,
        "elements": total,
        "launches": launches,
        "weights": weights,
        "macs_and_launches": macs / macs.mean() + launches / launches.mean(),
        "elements_and_launches": total / total.mean() + launches / launches.mean(),
    }
    return groups, quantities, file["macs_m_w12"].astype(np.float64)


def _work(kernel: Floats, expansion: Floats, resolution: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Middle channels, elements moved, pointwise and depthwise MACs of every block, shape ``(networks, 20)``."""
    middle, elements, pointwise, depthwise = (np.zeros_like(kernel) for _ in range(4))
    channels, side = _FIRST_WIDTH, np.ceil(resolution / 2)
    for block in range(kernel.shape[1]):
        stage, first = divmod(block, _BLOCKS)
        width = _WIDTHS[stage]
        before = side**2
        if first == 0:
            side = np.ceil(side / _STRIDES[stage])
        after = side**2
        middle[:, block] = channels * expansion[:, block]
        inside = middle[:, block]
        pointwise[:, block] = channels * inside * before + inside * width * after
        depthwise[:, block] = inside * kernel[:, block] ** 2 * after
        elements[:, block] = channels * before + 2 * inside * before + 2 * inside * after + width * after
        channels = width
    return middle, elements, pointwise, depthwise
