"""What every accuracy predictor is: an estimator that learns from networks whose accuracy was evaluated."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nas.accuracy.encoding import Encoded, Encoding
from nas.accuracy.errors import AccuracyError
from nas.accuracy.scores import HeldOut
from search_spaces import Architecture, SearchSpace

if TYPE_CHECKING:
    from typing_extensions import Self

Vector = NDArray[np.float64]

MINIMUM_NETWORKS = 10
"""Fewest evaluated networks that a predictor learns from."""


class AccuracyPredictor(ABC):
    """Base class of every predictor; scikit-learn's contract: ``fit`` returns self, learned state ends in ``_``.

    Every predictor finds out while it learns how far it errs on networks that it has not seen, so that each of its
    predictions comes with an interval.

    Attributes:
        name: registered name.
        archs_: the architectures that it learnt from.
        accuracies_: their accuracies, shape ``(networks,)``.
        held_out_: predictions for training networks that were left out for it; None until ``fit``.
    """

    name: ClassVar[str]

    def __init__(self, space: SearchSpace) -> None:
        self.encoding = Encoding(space)
        self.held_out_: HeldOut | None = None

    @property
    def space(self) -> SearchSpace:
        """The space whose networks are predicted."""
        return self.encoding.space

    @property
    def is_fitted(self) -> bool:
        """Whether something has been learnt."""
        return self.held_out_ is not None

    def fit(self, archs: Sequence[Architecture], accuracies: ArrayLike) -> Self:
        """Learn from evaluated architectures; forgets what was learnt before.

        Args:
            archs: at least ``MINIMUM_NETWORKS`` architectures of the space.
            accuracies: share of images that each classifies right, 0 to 1, shape ``(architectures,)``.

        Raises:
            AccuracyError: too few architectures, another number of accuracies, or accuracies nothing can be learnt
                from.
            SpaceError: an architecture that does not belong to the space.
        """
        found = _checked(archs, accuracies)
        encoded = self.encoding.encode(archs)
        self.held_out_ = None
        self.archs_, self.accuracies_ = tuple(archs), found
        self.held_out_ = self._fit(encoded, found)
        return self

    def predict(self, archs: Sequence[Architecture]) -> Vector:
        """Accuracies, 0 to 1, shape ``(architectures,)``.

        Raises:
            AccuracyError: not fitted.
            SpaceError: an architecture that does not belong to the space.
        """
        return np.clip(self._both(archs)[0], 0, 1)

    def predict_interval(self, archs: Sequence[Architecture], coverage: float = 0.9) -> tuple[Vector, Vector]:
        """Bounds that hold the accuracy that will be found with probability ``coverage``.

        They hold for networks drawn as the training networks were.

        Args:
            archs: any architectures of the space.
            coverage: between 0 and 1, both left out.

        Returns:
            Lower and upper bounds, 0 to 1, each of shape ``(architectures,)``.

        Raises:
            AccuracyError: not fitted, or a coverage that so few networks cannot support.
        """
        predicted, spread = self._both(archs)
        assert self.held_out_ is not None  # noqa: S101 (it is fitted)
        margin = self.held_out_.width(coverage) * spread
        return np.clip(predicted - margin, 0, 1), np.clip(predicted + margin, 0, 1)

    def _both(self, archs: Sequence[Architecture]) -> tuple[Vector, Vector]:
        if self.held_out_ is None:
            raise AccuracyError(f"predictor {self.name!r} has learnt nothing yet; call fit, or load a saved one")
        if not archs:
            return np.zeros(0), np.zeros(0)
        return self._predict(self.encoding.encode(archs))

    def restore(self, archs: Sequence[Architecture], accuracies: ArrayLike, held_out: HeldOut, state: State) -> Self:
        """Take over what an equal predictor learnt from these networks, without learning again.

        Raises:
            AccuracyError: as ``fit``.
            SpaceError: an architecture that does not belong to the space.
            KeyError, ValueError: a state of another predictor.
        """
        found = _checked(archs, accuracies)
        self._restore(self.encoding.encode(archs), found, state)
        self.archs_, self.accuracies_, self.held_out_ = tuple(archs), found, held_out
        return self

    @abstractmethod
    def _fit(self, networks: Encoded, accuracies: Vector) -> HeldOut:
        """Learn, and predict (some of) the networks as if they had been left out."""

    @abstractmethod
    def _predict(self, networks: Encoded) -> tuple[Vector, Vector]:
        """Predictions and their spread for at least one network."""

    @abstractmethod
    def options(self) -> dict[str, Any]:
        """Arguments beside the space that make this predictor again, as plain values."""

    @abstractmethod
    def state(self) -> State:
        """What was learnt and cannot be computed quickly from the training networks, as arrays."""

    @abstractmethod
    def _restore(self, networks: Encoded, accuracies: Vector, state: State) -> None:
        """Take over what ``state`` gave; the arguments of ``_fit`` come with it."""


State = Mapping[str, NDArray[Any]]


class Scale:
    """Accuracies as numbers of zero mean and unit variance."""

    def __init__(self, accuracies: Vector) -> None:
        self.mean, self.deviation = float(accuracies.mean()), float(accuracies.std())

    def down(self, accuracies: Vector) -> Vector:
        """From accuracies."""
        return (accuracies - self.mean) / self.deviation

    def up(self, values: Vector) -> Vector:
        """To accuracies."""
        return self.mean + self.deviation * values


def _checked(archs: Sequence[Architecture], accuracies: ArrayLike) -> Vector:
    found = np.asarray(accuracies, np.float64)
    if found.shape != (len(archs),):
        raise AccuracyError(f"{len(archs)} architectures and accuracies of shape {found.shape}; give one for each")
    if len(archs) < MINIMUM_NETWORKS:
        raise AccuracyError(f"{len(archs)} networks were given; evaluate at least {MINIMUM_NETWORKS}")
    wrong = np.flatnonzero(~((found >= 0) & (found <= 1)))
    if len(wrong):
        shown = ", ".join(f"{found[index]} at {index}" for index in wrong[:5])
        raise AccuracyError(
            f"{len(wrong)} of {len(found)} accuracies are no shares from 0 to 1 ({shown}); leave them out"
        )
    if np.ptp(found) == 0:
        raise AccuracyError(f"all {len(found)} accuracies are {found[0]}; evaluate networks that differ")
    if len({arch.key for arch in archs}) == 1:
        raise AccuracyError(f"all {len(archs)} architectures are {archs[0].key}; evaluate networks that differ")
    return found
