from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from supernet.depthwise import depthwise_conv


@pytest.mark.parametrize("size", [8, 9])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [3, 5, 7])
def test_bfloat16_gradients_are_those_of_the_library(kernel: int, stride: int, size: int) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(4, 6, size, size, generator=generator).bfloat16().contiguous(memory_format=torch.channels_last)
    weight = torch.randn(6, 1, kernel, kernel, generator=generator).bfloat16()
    grads = []
    for call in (
        lambda x, w: depthwise_conv(x, w, stride),
        lambda x, w: F.conv2d(x.float(), w.float(), None, stride, kernel // 2, 1, 6),
    ):
        leaves = x.clone().requires_grad_(), weight.clone().requires_grad_()
        y = call(*leaves)
        y.float().square().sum().backward()
        grads.append((y.detach().float(), *(leaf.grad.float() for leaf in leaves)))  # type: ignore[union-attr]
    for ours, exact in zip(*grads, strict=True):
        assert ours.shape == exact.shape
        # bfloat16 keeps 8 bits.
        assert (ours - exact).abs().max() <= 0.02 * exact.abs().max()


def test_only_the_gradients_asked_for_are_computed() -> None:
    x = torch.randn(2, 4, 6, 6).bfloat16()
    weight = torch.randn(4, 1, 5, 5).bfloat16().requires_grad_()
    depthwise_conv(x, weight, 1).sum().backward()
    assert x.grad is None
    assert weight.grad is not None
