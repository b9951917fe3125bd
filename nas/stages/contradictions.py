"""Where measurements contradict what was predicted by more than a predictor's known errors and chance explain.

Nine in ten networks are expected within an interval that comes from held-out errors, so one outside proves nothing.
What does: more of them outside than chance has it, one that is outside by far, or an order that networks predicted with
such errors hardly ever have.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nas.candidate import describe_value, latency_metric

COVERAGE: Final = 0.9
"""Share of networks that the interval of a prediction holds."""

_UNLIKELY: Final = 0.05
_ORDER_UNLIKELY: Final = 0.01
_FAR: Final = 3.0
"""Lengths of the interval's half that no network is off; the fewer the interval rests on, the more."""
_FEW: Final = 6
_SAME: Final = 0.05
"""Differences that a device alone makes from one hour to the next, as two passes do (``nas.visits``)."""
_DRAWS: Final = 400


@dataclass(frozen=True, slots=True)
class Compared:
    """One network on one target: what it was predicted to take and what it took, in seconds.

    Attributes:
        key: the network.
        target: name of the target.
        predicted_s: by the predictor that the network was chosen with.
        low_s: lower end of the interval that holds nine in ten, by the predictor's errors on held-out networks.
        high_s: its upper end.
        measured_s: median as measured.
    """

    key: str
    target: str
    predicted_s: float
    low_s: float
    high_s: float
    measured_s: float

    @property
    def off(self) -> float:
        """How far off the prediction is, in lengths of the interval's half on that side: above 1 is outside."""
        beyond = math.log(self.measured_s / self.predicted_s)
        end = self.high_s / self.predicted_s if beyond > 0 else self.predicted_s / self.low_s
        return abs(beyond) / math.log(max(end, 1 + _SAME))

    def describe(self) -> str:
        """What was measured, what was predicted, and the interval."""
        values = (self.measured_s, self.predicted_s, self.low_s, self.high_s)
        measured, predicted, low, high = (describe_value(latency_metric(self.target), value) for value in values)
        return f"network {self.key} takes {measured} where {predicted} were predicted ({low} to {high})"

    def to_json(self) -> dict[str, Any]:
        """Plain values by name, and whether the measurement is within the interval."""
        return {**asdict(self), "within": self.off <= 1}


def contradictions(compared: Sequence[Compared], errors: NDArray[np.float64], coverage: float = COVERAGE) -> list[str]:
    """What the measurements on one target contradict, a sentence each; none where the predictions hold.

    Args:
        compared: of one target and one predictor.
        errors: the predictor's errors on held-out networks, ``log(measured / predicted)``, shape ``(networks,)``.
        coverage: share of networks that the intervals hold.
    """
    if not compared:
        return []
    found, target, count = [], compared[0].target, len(compared)
    outside = sum(one.off > 1 for one in compared)
    if chance_of_outside(outside, count, len(errors), coverage) < _UNLIKELY:
        found.append(f"{target}: {outside} of {count} networks are outside intervals that should hold {coverage:.0%}")
    far = max(compared, key=lambda one: one.off)
    if far.off > _FAR * (1 + _FEW / len(errors)):
        found.append(f"{target}: {far.describe()}, which is far outside")
    predicted, measured = (np.array([getattr(one, name) for one in compared]) for name in ("predicted_s", "measured_s"))
    turned = int(_turned(predicted, measured[None])[0])
    if turned and _chance_of_order(turned, predicted, errors) < _ORDER_UNLIKELY:
        pairs = count * (count - 1) // 2
        found.append(f"{target}: {turned} of {pairs} pairs of networks are in another order than predicted")
    return found


def chance_of_outside(outside: int, count: int, checked: int, coverage: float) -> float:
    """Probability that so many networks or more are outside, if they err as the held-out ones did.

    The interval ends at one of the held-out errors, by rank; how many new ones exceed it is beta-binomial.

    Args:
        outside: how many of ``count`` are.
        count: networks that were compared.
        checked: held-out networks.
        coverage: share that the interval should hold.
    """
    within = math.ceil((checked + 1) * coverage)
    beyond = checked + 1 - within

    def chance(k: int) -> float:
        ways = math.lgamma(count + 1) - math.lgamma(k + 1) - math.lgamma(count - k + 1)
        return math.exp(ways + _log_beta(k + beyond, count - k + within) - _log_beta(beyond, within))

    return math.fsum(chance(k) for k in range(outside, count + 1))


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def _chance_of_order(turned: int, predicted: NDArray[np.float64], errors: NDArray[np.float64]) -> float:
    """How often errors drawn from the held-out ones turn round as many pairs, or more.

    From so few the errors' scale is not sure; it is drawn as well, as in Student's t distribution.
    """
    rank = min(len(errors), math.ceil((len(errors) + 1) * COVERAGE)) - 1
    usual = float(np.sort(np.abs(errors))[rank])
    least = max(1.0, math.log(1 + _SAME) / usual) if usual else 1.0
    rng, freedom = np.random.default_rng(0), max(1, len(errors) - 1)
    scale = least * np.sqrt(freedom / rng.chisquare(freedom, (_DRAWS, 1)))
    drawn = scale * rng.choice(errors, (_DRAWS, len(predicted)))
    return float((_turned(predicted, predicted * np.exp(drawn)) >= turned).mean())


def _turned(predicted: NDArray[np.float64], measured: NDArray[np.float64]) -> NDArray[np.int64]:
    """Pairs in another order than predicted, for each row of measurements of shape ``(draws, networks)``."""
    measured = measured[:, np.argsort(predicted, kind="stable")]
    first, second = np.triu_indices(len(predicted), 1)
    turned: NDArray[np.int64] = (measured[:, first] > measured[:, second]).sum(axis=1)
    return turned
