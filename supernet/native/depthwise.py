"""The weight gradient of a depthwise convolution, which libraries compute many times slower than its other passes."""

from __future__ import annotations

import torch
from torch import Tensor

from supernet.native.library import call, usable

_KERNELS = (3, 5, 7)


def depthwise_weight_gradient(x: Tensor, grad: Tensor, weight: Tensor, stride: int) -> Tensor | None:
    """Gradient of the weights of a depthwise convolution padded by ``kernel // 2``.

    Args:
        x: its input ``(batch, channels, height, width)``.
        grad: gradient of its output, of ``x``'s dtype.
        weight: ``(channels, 1, kernel, kernel)``.
        stride: step in both directions.

    Returns:
        As ``weight``; ``None`` where there are no kernels for ``x`` (on a CPU, channels-last, float32 or bfloat16) or
        for this kernel size (3, 5 and 7).
    """
    if weight.shape[-1] not in _KERNELS or weight.dtype != x.dtype or not usable(x):
        return None
    grad = grad.contiguous(memory_format=torch.channels_last)
    result = torch.empty_like(weight, memory_format=torch.contiguous_format)
    sizes = (x.shape[0], *x.shape[1:], *grad.shape[2:], weight.shape[-1], stride)
    call("depthwise_weight_gradient", x.dtype, x, grad, result, *sizes)
    return result
