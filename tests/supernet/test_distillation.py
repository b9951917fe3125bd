from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from supernet.distillation import alpha_divergence, distillation_loss
from supernet.strategies.plan import Divergence


def divergences(logits: Tensor, guide: Tensor) -> tuple[Tensor, Tensor]:
    """D_α of each image for α = -1 and α = 1, by their definition."""
    q, p = logits.softmax(1), guide.softmax(1)
    return ((q * (q / p)).sum(1) - 1) / 2, (p * (p / q).log()).sum(1)


def test_the_gradient_is_that_of_the_larger_divergence() -> None:
    generator = torch.Generator().manual_seed(0)
    guide = 0.35 * torch.randn(64, 5, generator=generator, dtype=torch.float64)
    logits = (0.35 * torch.randn(64, 5, generator=generator, dtype=torch.float64)).requires_grad_()
    over, under = divergences(logits, guide)
    assert 0 < (over > under).sum() < 64
    (expected,) = torch.autograd.grad(torch.maximum(over, under).mean(), logits)
    (got,) = torch.autograd.grad(alpha_divergence(logits, guide), logits)
    # No ratio reaches the clip here.
    assert (logits.softmax(1) / guide.softmax(1)).max() < 5
    torch.testing.assert_close(got, expected)


def test_ratios_beyond_the_clip_pull_no_harder() -> None:
    guide = torch.tensor([[0.0, 0.0, 20.0]])
    logits = torch.tensor([[3.0, 0.0, 0.0]], requires_grad=True)
    torch.autograd.backward(alpha_divergence(logits, guide))
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    assert logits.grad.abs().max() <= 5


def test_equal_outputs_are_not_pulled_anywhere() -> None:
    guide = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    kinds: tuple[Divergence, ...] = ("alpha", "cross_entropy")
    for divergence in kinds:
        logits = guide.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(distillation_loss(logits, guide, divergence), logits)
        torch.testing.assert_close(gradient, torch.zeros_like(gradient), atol=1e-6, rtol=0)


def test_cross_entropy_is_with_the_guides_probabilities() -> None:
    guide, logits = torch.randn(2, 4, 3).unbind()
    expected = -(guide.softmax(1) * F.log_softmax(logits, 1)).sum(1).mean()
    torch.testing.assert_close(distillation_loss(logits, guide, "cross_entropy"), expected)
