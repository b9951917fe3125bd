"""AlphaNet: the sandwich rule with a distillation that punishes both over- and underestimation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from supernet.strategies.plan import Divergence
from supernet.strategies.registry import register_strategy
from supernet.strategies.sandwich import Sandwich


@register_strategy("alphanet")
@dataclass(frozen=True)
class AlphaNet(Sandwich):
    """AlphaNet (Wang et al. 2021): the sandwich rule, distilled by the adaptive α-divergence, α in {-1, 1}, clip 5.

    Attributes:
        dropout: of the largest network only.
    """

    divergence: ClassVar[Divergence] = "alpha"
