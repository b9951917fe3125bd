"""What a sub-network learns from another one's outputs."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from supernet.strategies.plan import Divergence

_CLIP = 5.0


def distillation_loss(logits: Tensor, guide: Tensor, divergence: Divergence) -> Tensor:
    """Mean over the images of how far outputs are from those learned from.

    Args:
        logits: of the network that learns, shape ``(batch, classes)``.
        guide: logits that it learns from, same shape, without gradient.
        divergence: cross-entropy with the guide's probabilities, or the adaptive α-divergence.
    """
    if divergence == "alpha":
        return alpha_divergence(logits, guide)
    return F.cross_entropy(logits, guide.softmax(1))


def alpha_divergence(logits: Tensor, guide: Tensor) -> Tensor:
    """A loss whose gradient is that of the larger of two α-divergences, α in {-1, 1}, image by image.

    AlphaNet (Wang et al. 2021, section 3.3). With the guide's probabilities p, the learner's q and t = p / q,
    D_α = Σ q (t^α - 1) / (α (α - 1)), for α = 1 Kullback-Leibler's Σ p log t. The gradient of D_α is that of
    -Σ (q t^α / α) log q with the bracket held fixed (equation 8); for α = -1, t^α is clipped at 5 in both.

    Args:
        logits: of the network that learns, shape ``(batch, classes)``.
        guide: logits that it learns from, same shape.

    Returns:
        A scalar whose gradient is what matters; its value is not a divergence.
    """
    log_q, log_p = logits.log_softmax(1), guide.detach().log_softmax(1)
    with torch.no_grad():
        log_ratio = log_p - log_q
        q, p = log_q.exp(), log_p.exp()
        inverse = (-log_ratio).clamp_max(math.log(_CLIP)).exp()
        over = (q * (inverse - 1)).sum(1, keepdim=True) / 2
        under = (p * log_ratio).sum(1, keepdim=True)
        factor = torch.where(over > under, -q * inverse, p)
    return -(factor * log_q).sum(1).mean()
