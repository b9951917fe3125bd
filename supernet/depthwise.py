"""Depthwise convolution whose backward pass is fast on CPUs.

PyTorch's weight gradient is slow but for 3×3 kernels: a 5×5 one takes 8 times as long as its forward pass in float32,
and 50 times as long as a 3×3 one in bfloat16. A kernel of our own computes it. Where that cannot be compiled, bfloat16
goes through the 3×3 case, as it does for strided input gradients; the results are the same up to rounding.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from supernet.native import depthwise_weight_gradient

_CONV_BACKWARD = torch.ops.aten.convolution_backward


def depthwise_conv(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """Depthwise convolution padded by ``kernel // 2``.

    Args:
        x: input ``(batch, channels, height, width)``.
        weight: ``(channels, 1, kernel, kernel)`` with an odd kernel.
        stride: step in both directions.

    Returns:
        Output ``(batch, channels, ceil(height / stride), ceil(width / stride))``.
    """
    slow = x.device.type == "cpu" and (weight.shape[-1] > 3 or (stride > 1 and x.dtype == torch.bfloat16))
    if slow and torch.is_grad_enabled():
        result: Tensor = _Depthwise.apply(x, weight, stride)  # type: ignore[no-untyped-call]
        return result
    return F.conv2d(x, weight, None, stride, weight.shape[-1] // 2, 1, x.shape[1])


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int) -> Tensor:  # noqa: ANN401 (torch's own type)
        ctx.save_for_backward(x, weight)
        ctx.stride = stride
        return F.conv2d(x, weight, None, stride, weight.shape[-1] // 2, 1, x.shape[1])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None]:  # noqa: ANN401
        x, weight = ctx.saved_tensors
        grad_x = _input_gradient(x, grad, weight, ctx.stride) if ctx.needs_input_grad[0] else None
        grad_weight = _weight_gradient(x, grad, weight, ctx.stride) if ctx.needs_input_grad[1] else None
        return grad_x, grad_weight, None


def _input_gradient(x: Tensor, grad: Tensor, weight: Tensor, stride: int) -> Tensor:
    if x.dtype != torch.bfloat16:
        return _library_gradients(x, grad, weight, (stride, weight.shape[-1] // 2), [True, False, False])[0]
    full = _spread(grad, x, stride)
    return F.conv2d(full, weight.flip(2, 3), None, 1, weight.shape[-1] // 2, 1, x.shape[1])


def _weight_gradient(x: Tensor, grad: Tensor, weight: Tensor, stride: int) -> Tensor:
    ours = depthwise_weight_gradient(x, grad, weight, stride)
    if ours is not None:
        return ours
    if x.dtype == torch.bfloat16:
        return _windowed_weight_gradient(x, grad, weight, stride)
    return _library_gradients(x, grad, weight, (stride, weight.shape[-1] // 2), [False, True, False])[1]


def _library_gradients(
    x: Tensor, grad: Tensor, weight: Tensor, stride_and_padding: tuple[int, int], wanted: list[bool]
) -> tuple[Tensor, Tensor, Tensor]:
    """Those that are wanted, of input, weight and bias."""
    stride, padding = ([value] * 2 for value in stride_and_padding)
    result: tuple[Tensor, Tensor, Tensor] = _CONV_BACKWARD(
        grad, x, weight, None, stride, padding, [1, 1], False, [0, 0], x.shape[1], wanted
    )
    return result


def _spread(grad: Tensor, x: Tensor, stride: int) -> Tensor:
    """The output gradient of the stride-1 convolution of which a strided one keeps every ``stride``-th output."""
    if stride == 1:
        return grad
    full = torch.zeros(x.shape, dtype=grad.dtype).contiguous(memory_format=torch.channels_last)
    full[:, :, ::stride, ::stride] = grad
    return full


def _windowed_weight_gradient(x: Tensor, grad: Tensor, weight: Tensor, stride: int) -> Tensor:
    """Weight gradient, from unpadded stride-1 gradients of 3×3 windows of taps.

    Tap ``phase + stride · t`` sees the padded rows ``phase``, ``phase + stride``, … from the ``t``-th on: within
    one phase of rows and of columns, a strided convolution is one of stride 1.
    """
    kernel = weight.shape[-1]
    height, width = grad.shape[2] + 2, grad.shape[3] + 2
    # Room for windows that reach beyond the last tap, whose gradients there are dropped.
    padded = F.pad(x, (kernel // 2, kernel // 2 + 2 * stride) * 2)
    result = torch.empty_like(weight)
    three = weight[:, :, :1, :1].expand(-1, -1, 3, 3)
    for row, top in _windows(kernel, stride):
        for column, left in _windows(kernel, stride):
            seen = padded[:, :, row::stride, column::stride][:, :, top : top + height, left : left + width]
            seen = seen.contiguous(memory_format=torch.channels_last)
            part = _library_gradients(seen, grad, three, (1, 0), [False, True, False])[1]
            taps = result[:, :, row::stride, column::stride][:, :, top : top + 3, left : left + 3]
            taps.copy_(part[:, :, : taps.shape[2], : taps.shape[3]])
    return result


def _windows(kernel: int, stride: int) -> list[tuple[int, int]]:
    """Phase and first tap of windows of three that cover all taps of every phase along one axis."""
    return [
        (phase, max(min(start, taps - 3), 0))
        for phase in range(stride)
        if (taps := (kernel - phase + stride - 1) // stride) > 0
        for start in range(0, taps, 3)
    ]
