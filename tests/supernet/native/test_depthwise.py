from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from supernet import native

needs_kernels = pytest.mark.skipif(native.unavailable_reason() is not None, reason=native.unavailable_reason() or "")


@needs_kernels
@pytest.mark.parametrize(("dtype", "share"), [(torch.float32, 1e-5), (torch.bfloat16, 1e-2)])
@given(
    images=st.integers(1, 5),
    channels=st.integers(1, 41),
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    kernel=st.sampled_from([3, 5, 7]),
    stride=st.integers(1, 3),
)
@settings(max_examples=60, deadline=None)
def test_gradients_are_those_computed_in_double(  # noqa: PLR0917 (every size matters)
    dtype: torch.dtype, share: float, images: int, channels: int, height: int, width: int, kernel: int, stride: int
) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(images, channels, height, width, generator=generator).to(dtype)
    x = x.contiguous(memory_format=torch.channels_last)
    weight = torch.randn(channels, 1, kernel, kernel, generator=generator).to(dtype)
    exact = weight.double().requires_grad_()
    y = F.conv2d(x.double(), exact, None, stride, kernel // 2, 1, channels)
    grad = torch.randn(y.shape, generator=generator).to(dtype)
    (right,) = torch.autograd.grad(y, exact, grad.double())
    found = native.depthwise_weight_gradient(x, grad, weight, stride)
    assert found is not None
    assert found.dtype == dtype
    assert found.shape == weight.shape
    assert (found.double() - right).abs().max() <= share * right.abs().max().clamp_min(1.0)


def test_other_kernel_sizes_are_left_to_the_library() -> None:
    x = torch.randn(1, 2, 4, 4).contiguous(memory_format=torch.channels_last)
    assert native.depthwise_weight_gradient(x, x, torch.randn(2, 1, 9, 9), 1) is None
