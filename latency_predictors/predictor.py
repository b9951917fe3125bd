"""What every latency predictor is: an estimator that learns seconds from measured networks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from latency_predictors.errors import PredictorError
from latency_predictors.scores import PredictorScores, checked_latencies, score
from search_spaces.network import Network

if TYPE_CHECKING:
    from typing_extensions import Self

MINIMUM_NETWORKS = 4
"""Fewest measured networks that a predictor learns from."""


@dataclass(frozen=True)
class HeldOut:
    """Predictions for networks by predictors that had not seen them, in the order the networks were given.

    Attributes:
        predicted_s: predicted latencies in seconds, shape ``(networks,)``.
        measured_s: measured latencies in seconds, shape ``(networks,)``.
    """

    predicted_s: NDArray[np.float64]
    measured_s: NDArray[np.float64]

    @property
    def scores(self) -> PredictorScores:
        """Agreement of the two."""
        return score(self.predicted_s, self.measured_s)


class LatencyPredictor(ABC):
    """Base class of every predictor; scikit-learn's contract: ``fit`` returns self, learned state ends in ``_``.

    Attributes:
        name: registered name.
        is_fitted: whether something has been learnt.
        held_out_: held-out predictions that the intervals rest on; ``None`` until ``calibrate``.
    """

    name: ClassVar[str]

    def __init__(self) -> None:
        self.held_out_: HeldOut | None = None
        self.is_fitted = False

    def fit(self, networks: Sequence[Network], latencies_s: ArrayLike) -> Self:
        """Learn from measured networks; forgets what was learnt before.

        Args:
            networks: at least ``MINIMUM_NETWORKS`` networks.
            latencies_s: the latency of each in seconds, shape ``(networks,)``.

        Raises:
            PredictorError: too few networks, another number of latencies, or latencies that are not finite, not
                positive or all the same.
        """
        latencies = checked_measurements(networks, latencies_s, minimum=MINIMUM_NETWORKS)
        self._fit(networks, latencies)
        self.is_fitted, self.held_out_ = True, None
        return self

    def predict(self, networks: Sequence[Network]) -> NDArray[np.float64]:
        """Latencies in seconds, positive, shape ``(networks,)``.

        Raises:
            PredictorError: not fitted.
        """
        if not self.is_fitted:
            raise PredictorError(f"predictor {self.name!r} has learnt nothing yet; call fit, or load a saved one")
        return self._predict(networks) if len(networks) else np.zeros(0)

    def calibrate(self, held_out: HeldOut) -> Self:
        """Take the errors of held-out predictions as those to expect; ``fit_checked`` does this."""
        self.held_out_ = held_out
        return self

    def predict_interval(
        self, networks: Sequence[Network], coverage: float = 0.9
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Bounds that hold the latency that will be measured with probability ``coverage``.

        Split conformal prediction on relative errors (Vovk et al. 2005; Lei et al. 2018, algorithm 2): the bounds are
        the prediction divided and multiplied by one factor. It holds for networks drawn as the measured ones were.

        Args:
            networks: any networks.
            coverage: between 0 and 1, both left out.

        Returns:
            Lower and upper bounds in seconds, each of shape ``(networks,)``.

        Raises:
            PredictorError: not calibrated, or a coverage that so few measurements cannot support.
        """
        if self.held_out_ is None:
            raise PredictorError(f"predictor {self.name!r} has no held-out errors; use fit_checked, or call calibrate")
        if not 0 < coverage < 1:
            raise PredictorError(f"coverage is {coverage}; give a share between 0 and 1, such as 0.9")
        ratios = np.sort(np.abs(np.log(self.held_out_.predicted_s / self.held_out_.measured_s)))
        rank = ceil((len(ratios) + 1) * coverage)
        if rank > len(ratios):
            most = len(ratios) / (len(ratios) + 1)
            raise PredictorError(
                f"{len(ratios)} held-out networks support a coverage of at most {most:.3f}; {coverage} was asked for"
            )
        factor, predicted = np.exp(ratios[rank - 1]), self.predict(networks)
        return predicted / factor, predicted * factor

    @abstractmethod
    def _fit(self, networks: Sequence[Network], latencies_s: NDArray[np.float64]) -> None:
        """Learn from checked measurements."""

    @abstractmethod
    def _predict(self, networks: Sequence[Network]) -> NDArray[np.float64]:
        """Predict for at least one network."""

    @abstractmethod
    def options(self) -> dict[str, Any]:
        """Arguments that make this predictor again, as plain values."""

    @abstractmethod
    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Learned state as arrays and as plain values, for saving."""

    @abstractmethod
    def restore(self, arrays: Mapping[str, NDArray[Any]], values: Mapping[str, Any]) -> None:
        """Take over what ``state`` gave."""


def checked_measurements(networks: Sequence[Network], latencies_s: ArrayLike, *, minimum: int) -> NDArray[np.float64]:
    """Latencies of networks as an array that can be learnt from.

    Raises:
        PredictorError: too few, another number of latencies than of networks, or latencies nothing can be learnt from.
    """
    given = np.shape(latencies_s)
    if given != (len(networks),):
        raise PredictorError(f"{len(networks)} networks and latencies of shape {given} were given; give one for each")
    return checked_latencies(latencies_s, minimum=minimum)
