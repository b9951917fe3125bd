"""Batch norm over the batch's own statistics and the activation after it, in one pass over memory instead of two."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from search_spaces.network import ActivationKind
from supernet.native.library import call, usable

FUSED: Mapping[ActivationKind | None, int] = {None: 0, "relu": 1, "relu6": 2, "hard_swish": 3}
"""Activations that a norm can be computed together with, by the number that the kernels know them by."""


def batch_norm(
    x: Tensor, scale: Tensor, shift: Tensor, epsilon: float, activation: ActivationKind | None
) -> tuple[Tensor, Tensor, Tensor] | None:
    """``activation(scale * (x - mean) / sqrt(variance + epsilon) + shift)``, with gradients for all three.

    Args:
        x: ``(batch, channels, height, width)``.
        scale: ``(channels,)``, float32.
        shift: ``(channels,)``, float32.
        epsilon: keeps the division finite.
        activation: one of ``FUSED``.

    Returns:
        The values, in ``x``'s dtype, and the mean and the biased variance of every channel, without gradients; ``None``
        where there are no kernels for ``x``, which must be on a CPU, channels-last, and float32 or bfloat16.
    """
    if not usable(x):
        return None
    result: tuple[Tensor, Tensor, Tensor] = _Norm.apply(x, scale, shift, epsilon, FUSED[activation])  # type: ignore[no-untyped-call]
    return result


class _Norm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 (torch's own type)
        x: Tensor,
        scale: Tensor,
        shift: Tensor,
        *settings: float,
    ) -> tuple[Tensor, Tensor, Tensor]:
        scale, shift = scale.contiguous(), shift.contiguous()
        y, mean, variance = torch.empty_like(x), torch.empty_like(scale), torch.empty_like(scale)
        ctx.settings = (x.numel() // x.shape[1], x.shape[1], *settings)
        call("norm_forward", x.dtype, x, scale, shift, y, mean, variance, *ctx.settings)
        ctx.save_for_backward(x, scale, shift, mean, variance)
        ctx.mark_non_differentiable(mean, variance)
        return y, mean, variance

    @staticmethod
    def backward(ctx: Any, grad: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        x, scale, shift, mean, variance = ctx.saved_tensors
        grad = grad.contiguous(memory_format=torch.channels_last)
        grads = torch.empty_like(x), torch.empty_like(scale), torch.empty_like(shift)
        call("norm_backward", x.dtype, x, grad, scale, shift, mean, variance, *grads, *ctx.settings)
        return *grads, None, None
