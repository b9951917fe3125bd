"""The few-shot model as a predictor of networks, with a file of known devices or without any."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from latency_predictors.cost import fit_cost, predict_cost, trust
from latency_predictors.described import described
from latency_predictors.errors import PredictorError
from latency_predictors.features import feature_matrix
from latency_predictors.few_shot import Encoded, Fleet
from latency_predictors.few_shot.state import target_from, target_state
from latency_predictors.known_devices import KnownDevices
from latency_predictors.predictor import LatencyPredictor, checked_measurements
from search_spaces.network import Network

if TYPE_CHECKING:
    from typing_extensions import Self

_JUDGED_FROM = 20  # measurements from which one that went wrong can be told
_DISTRUSTED = 0.4


class FewShotPredictor(LatencyPredictor):
    """A mix of known devices and of work, with deviations of learnt sizes: ten measurements tell a device.

    Attributes:
        target_: what is known of the device.
    """

    name: ClassVar[str] = "few_shot"

    def __init__(self, *, fleet: str | None = None) -> None:
        super().__init__()
        self.fleet = fleet

    def adapt(self, networks: Sequence[Network], latencies_s: ArrayLike) -> Self:
        """Learn a device from any number of its networks, none included, with a fleet to help.

        Args:
            networks: measured networks, at least one where no fleet was given.
            latencies_s: of each in seconds, shape ``(networks,)``.

        Raises:
            PredictorError: latencies that teach nothing, or no fleet.
        """
        if self.fleet is None:
            raise PredictorError(f"predictor {self.name!r} has no fleet to start from; give fleet=PATH, or call fit")
        latencies = checked_measurements(networks, latencies_s, minimum=2) if len(networks) > 1 else latencies_s
        fleet = _fleet(self.fleet)
        seen = _encoded(fleet, networks) if len(networks) else _nothing(fleet)
        self.target_ = fleet.adapt(seen, np.asarray(latencies, np.float64))
        self.is_fitted, self.held_out_ = True, None
        return self

    def choose(self, networks: Sequence[Network], count: int, *, measured: Sequence[Network] = ()) -> list[int]:
        """Which networks to measure next on the device, the most telling first.

        Args:
            networks: to choose from.
            count: how many.
            measured: networks that were measured already.

        Raises:
            PredictorError: fewer networks than asked for.
        """
        fleet = _fleet(self.fleet) if self.fleet else self._alone(feature_matrix([*networks, *measured]))
        seen = _encoded(fleet, measured) if measured else None
        return [int(row) for row in fleet.choose(_encoded(fleet, networks), count, seen=seen)]

    def posterior_interval(
        self, networks: Sequence[Network], coverage: float = 0.9
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Bounds that hold a measured latency with probability ``coverage``, without any held-out network.

        Raises:
            PredictorError: not fitted, or a coverage that cannot be.
        """
        if not 0 < coverage < 1:
            raise PredictorError(f"coverage is {coverage}; give a share between 0 and 1, such as 0.9")
        self.predict(networks[:1])
        return self.target_.interval(_encoded(self.target_.fleet, networks), coverage)

    @property
    def warning(self) -> str | None:
        """What to be told of the device: that it is unlike any known one."""
        if not self.is_fitted or not self.target_.is_unlike_any:
            return None
        return (
            f"this device is unlike any of the {len(self.target_.fleet.sources.typical_s)} known ones: measure more "
            "networks on it, and trust the intervals less"
        )

    def _fit(self, networks: Sequence[Network], latencies_s: NDArray[np.float64]) -> None:
        matrix = feature_matrix(networks)
        if len(matrix) >= _JUDGED_FROM:
            trusted = trust(predict_cost(matrix, fit_cost(matrix, latencies_s)), latencies_s) > _DISTRUSTED
            matrix, latencies_s = matrix[trusted], latencies_s[trusted]
        fleet = _fleet(self.fleet) if self.fleet else self._alone(matrix)
        self.target_ = fleet.adapt(fleet.encode(*described(matrix)), latencies_s)

    def _predict(self, networks: Sequence[Network]) -> NDArray[np.float64]:
        return self.target_.predict(_encoded(self.target_.fleet, networks))

    @staticmethod
    def _alone(matrix: NDArray[np.float64]) -> Fleet:
        """A fleet of no device."""
        return Fleet.fit(*described(matrix), np.zeros((len(matrix), 0)))

    def options(self) -> dict[str, Any]:
        """Place of the file of known devices."""
        return {"fleet": self.fleet}

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """What is known of the device and of the fleet."""
        return target_state(self.target_)

    def restore(self, arrays: Mapping[str, NDArray[Any]], values: Mapping[str, Any]) -> None:
        """Take over what ``state`` gave."""
        self.target_ = target_from(arrays, values)


def _encoded(fleet: Fleet, networks: Sequence[Network]) -> Encoded:
    return fleet.encode(*described(feature_matrix(networks)))


def _nothing(fleet: Fleet) -> Encoded:
    width, devices = len(fleet.scaling.kept), len(fleet.sources.typical_s) + len(fleet.quantities)
    return Encoded(np.zeros((0, width)), fleet.scaling.group, np.zeros((0, devices)))


def _fleet(place: str) -> Fleet:
    """The fleet of a file, learnt once for each of its versions."""
    path = Path(place)
    version = path.stat().st_mtime_ns if path.exists() else 0
    return _learnt(path, version)


@lru_cache(maxsize=4)
def _learnt(path: Path, version: int) -> Fleet:
    """The version only tells files of one name apart."""
    return KnownDevices.load(path).fleet()
