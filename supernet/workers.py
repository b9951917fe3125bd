"""Several processes that train one supernet together, each on its part of every batch, as one process would.

What one process computes over a whole batch is here computed over all parts: gradients are averaged once a step, and
batch norms use the statistics of the whole batch, so the same global batch gives the same weights up to rounding.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


class Workers:
    """The processes of ``torch.distributed``'s default group; ``torch.distributed.init_process_group`` comes first.

    Attributes:
        rank: number of this process, from 0.
        size: how many there are.
    """

    def __init__(self) -> None:
        self.rank, self.size = dist.get_rank(), dist.get_world_size()

    def average_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Replace every gradient by its mean over the processes, in one message.

        All processes train the same sub-networks, so the same parameters have gradients in each.
        """
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        if not gradients:
            return
        message = torch.cat([gradient.flatten() for gradient in gradients])
        dist.all_reduce(message)
        message /= self.size
        parts = torch.split(message, [gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))

    def mean(self, value: Tensor) -> Tensor:
        """Mean of a tensor over the processes."""
        total = value.detach().clone()
        dist.all_reduce(total)
        return total / self.size

    def batch_norm(self, x: Tensor, scale: Tensor, shift: Tensor, epsilon: float) -> Tensor:
        """Batch norm of ``x`` (part of the batch, channels, height, width) by the statistics of the whole batch."""
        result: Tensor = _BatchNorm.apply(x, scale, shift, epsilon)  # type: ignore[no-untyped-call]
        return result


class _BatchNorm(torch.autograd.Function):
    """Ioffe & Szegedy (2015), algorithm 1, with sums over all processes; parts may differ in size."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, shift: Tensor, epsilon: float) -> Tensor:  # noqa: ANN401 (torch's own type)
        wide = x.float()
        sums = torch.stack([wide.sum((0, 2, 3)), wide.square().sum((0, 2, 3))]).double()
        count = sums.new_tensor([x.numel() // x.shape[1]])
        message = torch.cat([sums.flatten(), count])
        dist.all_reduce(message)
        count = message[-1]
        mean, square = (message[:-1] / count).view_as(sums)
        inverse = (square - mean.square()).clamp_min(0).add(epsilon).rsqrt().float()
        normalised = (wide - _along_channels(mean.float())) * _along_channels(inverse)
        ctx.save_for_backward(normalised.to(x.dtype), scale, inverse)
        ctx.count = count.item()
        return (normalised * _along_channels(scale) + _along_channels(shift)).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:  # noqa: ANN401
        normalised, scale, inverse = ctx.saved_tensors
        wide, normalised = grad.float(), normalised.float()
        local = torch.stack([wide.sum((0, 2, 3)), (wide * normalised).sum((0, 2, 3))])
        total = local.double()
        dist.all_reduce(total)
        mean_shift, mean_scale = (total / ctx.count).float()
        inner = wide - _along_channels(mean_shift) - normalised * _along_channels(mean_scale)
        # Scale and shift get this process's sums: like every other gradient, they are averaged at the end of the step.
        return (inner * _along_channels(scale * inverse)).to(grad.dtype), local[1], local[0], None


def _along_channels(values: Tensor) -> Tensor:
    return values.view(1, -1, 1, 1)
