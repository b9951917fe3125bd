from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from search_spaces.network import ActivationKind
from supernet import native
from supernet.operations import ACTIVATIONS

EPSILON = 1e-5
needs_kernels = pytest.mark.skipif(native.unavailable_reason() is not None, reason=native.unavailable_reason() or "")
Tensors = tuple[Tensor, ...]
SHAPES = [(1, 1, 3, 4), (3, 5, 4, 4), (4, 16, 7, 3), (130, 24, 2, 2), (16, 40, 1, 1)]


def example(
    shape: tuple[int, ...], dtype: torch.dtype, *, offset: float = 0.0
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Input, scale, shift and the output's gradient."""
    generator = torch.Generator().manual_seed(0)
    x, grad = (torch.randn(shape, generator=generator).contiguous(memory_format=torch.channels_last) for _ in range(2))
    scale, shift = torch.rand(shape[1], generator=generator) + 0.5, torch.randn(shape[1], generator=generator)
    return (3 * x + offset).to(dtype), scale, shift, grad.to(dtype)


def with_gradients(values: Tensor, leaves: Tensors, grad: Tensor) -> list[Tensor]:
    return [values.detach(), *torch.autograd.grad(values, leaves, grad.to(values.dtype))]


def in_double(
    x: Tensor, scale: Tensor, shift: Tensor, kind: ActivationKind | None
) -> tuple[Tensor, tuple[Tensor, ...]]:
    leaves = tuple(t.detach().double().requires_grad_() for t in (x, scale, shift))
    y = F.batch_norm(leaves[0], None, None, leaves[1], leaves[2], training=True, eps=EPSILON)
    return (y if kind is None else ACTIVATIONS[kind](y)), leaves


@needs_kernels
@pytest.mark.parametrize("kind", list(native.FUSED))
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("dtype", "share"), [(torch.float32, 2e-5), (torch.bfloat16, 2e-2)])
def test_values_and_gradients_are_those_computed_in_double(
    dtype: torch.dtype, share: float, shape: tuple[int, ...], kind: ActivationKind | None
) -> None:
    x, scale, shift, grad = example(shape, dtype)
    exact, exact_leaves = in_double(x, scale, shift, kind)
    leaves = tuple(t.requires_grad_() for t in (x, scale, shift))
    found = native.batch_norm(*leaves, EPSILON, kind)
    assert found is not None
    y, mean, variance = found
    assert y.dtype == dtype
    assert not mean.requires_grad
    assert not variance.requires_grad
    wide = x.detach().double()
    torch.testing.assert_close(mean.double(), wide.mean((0, 2, 3)), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(variance.double(), wide.var((0, 2, 3), correction=0), rtol=1e-5, atol=1e-5)
    for ours, right in zip(with_gradients(y, leaves, grad), with_gradients(exact, exact_leaves, grad), strict=True):
        assert (ours.double() - right).abs().max() <= share * right.abs().max().clamp_min(1.0)


@needs_kernels
def test_a_mean_far_from_zero_costs_no_precision() -> None:
    x, scale, shift, _ = example((32, 8, 6, 6), torch.float32, offset=1000.0)
    found = native.batch_norm(x, scale, shift, EPSILON, None)
    assert found is not None
    torch.testing.assert_close(found[2].double(), x.double().var((0, 2, 3), correction=0), rtol=1e-5, atol=0)


@needs_kernels
@pytest.mark.parametrize("kind", list(native.FUSED))
def test_what_is_not_a_number_stays_visible(kind: ActivationKind | None) -> None:
    x, scale, shift, _ = example((2, 4, 3, 3), torch.float32)
    x[1, 2, 0, 0] = float("nan")
    found = native.batch_norm(x, scale, shift, EPSILON, kind)
    assert found is not None
    assert found[0][:, 2].isnan().all()
    assert found[0][:, [0, 1, 3]].isfinite().all()


@needs_kernels
def test_the_same_input_gives_the_same_bits() -> None:
    x, scale, shift, grad = example((64, 24, 9, 9), torch.float32)
    leaves = tuple(t.requires_grad_() for t in (x, scale, shift))
    runs = []
    for _ in range(5):
        found = native.batch_norm(*leaves, EPSILON, "relu")
        assert found is not None
        runs.append(with_gradients(found[0], leaves, grad))
    for run in runs[1:]:
        assert all(torch.equal(a, b) for a, b in zip(runs[0], run, strict=True))


@pytest.mark.parametrize(
    "x",
    [
        torch.randn(2, 3, 4, 4),
        torch.randn(2, 3, 4, 4, dtype=torch.float16).contiguous(memory_format=torch.channels_last),
        torch.randn(2, 3, 4, 4, dtype=torch.float64).contiguous(memory_format=torch.channels_last),
        torch.randn(2, 3),
        torch.empty(0, 3, 4, 4),
    ],
    ids=["channels first", "float16", "float64", "two axes", "empty"],
)
def test_other_tensors_are_left_to_the_library(x: Tensor) -> None:
    assert native.batch_norm(x, torch.ones(3), torch.zeros(3), EPSILON, None) is None
