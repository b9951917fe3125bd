"""A training step as a value: which sub-networks learn, from what, and what happens before.

Strategies write plans, one loop follows them, and their cost is counted from them without training anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from search_spaces import Architecture, SearchSpace

if TYPE_CHECKING:
    from supernet.settings import TrainSettings

Divergence: TypeAlias = Literal["cross_entropy", "alpha"]


@dataclass(frozen=True, slots=True)
class Lesson:
    """A forward and backward pass of one sub-network; the three weights multiply what it learns from.

    Attributes:
        candidates: which sub-network; of several, the one that ``keep`` says is found on the step's own images first.
        labels: weight of the cross-entropy with the labels.
        in_place: weight of the divergence from the outputs of the step's first sub-network.
        teacher: weight of the divergence from the outputs of the frozen teacher.
        divergence: how outputs are compared: cross-entropy, or the adaptive α-divergence (Wang et al. 2021).
        keep: of several candidates, that of the lowest or of the highest loss on the labels.
        dropout: share of the features before the classifier that are set to zero at random.
    """

    candidates: tuple[Architecture, ...]
    labels: float = 0.0
    in_place: float = 0.0
    teacher: float = 0.0
    divergence: Divergence = "cross_entropy"
    keep: Literal["lowest", "highest"] = "lowest"
    dropout: float = 0.0


@dataclass(frozen=True, slots=True)
class FreezeTeacher:
    """From here on, the frozen teacher has the weights of this moment."""


@dataclass(frozen=True, slots=True)
class SortChannels:
    """Channels are put in the order of their importance; the largest network computes the same as before.

    Attributes:
        used: networks narrower than the largest that have been trained; a channel that they use stays among theirs.
    """

    used: tuple[Architecture, ...] = ()


Event: TypeAlias = FreezeTeacher | SortChannels


@dataclass(frozen=True, slots=True)
class Plan:
    """One step.

    Attributes:
        learning_rate: of this step.
        lessons: in order; their gradients are added up.
        teacher: network that the frozen teacher's outputs are computed with, where a lesson asks for them.
        events: what happens before the step, in order.
    """

    learning_rate: float
    lessons: tuple[Lesson, ...]
    teacher: Architecture | None = None
    events: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True)
class Run:
    """What a strategy plans for.

    Attributes:
        space: whose networks are trained.
        settings: of the whole training.
        steps_per_epoch: steps in a pass over the training images.
    """

    space: SearchSpace
    settings: TrainSettings
    steps_per_epoch: int

    @property
    def total_steps(self) -> int:
        """Steps of the whole training."""
        return self.settings.epochs * self.steps_per_epoch
