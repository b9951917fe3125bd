"""How a device drifts while others are measured on it, as a sentinel network tells that is measured in between.

The sentinel's medians, as logarithms over time, are cut into stretches where the machine was started anew or where two
neighbours differ by more than 5 %: a jump. Within a stretch the device's level is one of three things: the same as
ever, a constant of that stretch, or a local linear regression with tricube weights over the nearest half of the points
(Cleveland 1979, without the robustness steps). Whichever predicts left-out sentinels best is used, a richer one only
where it errs by a fifth less. What was measured next to a jump is not corrected but measured again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

JUMP = 0.05
"""Neighbouring sentinels that differ by more than this share: no slow drift explains it."""

_BETTER = 0.8
_FEWEST_FOR_CURVE = 5
_Floats: TypeAlias = NDArray[np.float64]

Method: TypeAlias = Literal["none", "steps", "smooth"]


@dataclass(frozen=True, slots=True)
class Point:
    """One measurement of the sentinel.

    Attributes:
        boot: names the start of the machine whose clock ``at_s`` is.
        at_s: when, in seconds of a clock that nobody sets.
        median_s: its median latency in seconds.
    """

    boot: str
    at_s: float
    median_s: float


class Drift:
    """The level of a device over time, relative to its usual one.

    Args:
        points: measurements of the sentinel, in any order.
    """

    def __init__(self, points: Sequence[Point]) -> None:
        self._stretches = _stretches(points)
        logs = [value for stretch in self._stretches for value in stretch.logs]
        self._reference = float(np.median(logs)) if logs else 0.0
        self.method: Method = _best_method(self._stretches)

    @property
    def watched(self) -> bool:
        """Whether there is any sentinel."""
        return bool(self._stretches)

    def factor(self, boot: str, at_s: float) -> float:
        """How many times as long as usual the device took at this moment; 1 where nothing is known."""
        stretch = None if self.method == "none" or math.isnan(at_s) else _nearest(self._stretches, boot, at_s)
        if stretch is None:
            return 1.0
        level = stretch.curve(at_s) if self.method == "smooth" else stretch.middle
        return math.exp(level - self._reference)

    def jumped(self, boot: str, at_s: float) -> bool:
        """Whether the device's level jumped between the sentinels before and after this moment."""
        known = [stretch for stretch in self._stretches if stretch.boot == boot]
        before = [number for number, stretch in enumerate(known) if stretch.times[0] <= at_s]
        after = [number for number, stretch in enumerate(known) if stretch.times[-1] >= at_s]
        return bool(before and after) and before[-1] != after[0]


@dataclass(frozen=True)
class _Stretch:
    """Sentinels without a jump between them, in order of time."""

    boot: str
    times: _Floats
    logs: _Floats

    @property
    def middle(self) -> float:
        return float(np.median(self.logs))

    def part(self, start: int | None, end: int | None) -> _Stretch:
        """Some of it, without the rest."""
        return _Stretch(self.boot, self.times[start:end], self.logs[start:end])

    def curve(self, at_s: float) -> float:
        """Local linear regression; before the first and after the last sentinel the level is theirs."""
        count = len(self.times)
        if count < _FEWEST_FOR_CURVE - 1:
            return self.middle
        at_s = float(np.clip(at_s, self.times[0], self.times[-1]))
        distances = np.abs(self.times - at_s)
        reach = np.sort(distances)[max(3, math.ceil(count / 2)) - 1]
        weights = np.clip(1 - (distances / max(1.001 * reach, 1e-9)) ** 3, 0, None) ** 3
        design = np.stack([np.ones(count), self.times - at_s], axis=1) * np.sqrt(weights)[:, None]
        found, *_ = np.linalg.lstsq(design, self.logs * np.sqrt(weights), rcond=None)
        return float(found[0])


def _stretches(points: Sequence[Point]) -> list[_Stretch]:
    found: list[list[Point]] = []
    for point in sorted(points, key=lambda p: (p.boot, p.at_s)):
        last = found[-1][-1] if found else None
        if last is None or last.boot != point.boot or abs(math.log(point.median_s / last.median_s)) > JUMP:
            found.append([])
        found[-1].append(point)
    return [
        _Stretch(part[0].boot, np.array([p.at_s for p in part]), np.log([p.median_s for p in part])) for part in found
    ]


def _best_method(stretches: Sequence[_Stretch]) -> Method:
    """The method with the least mean error in predicting each sentinel from the others."""
    errors: dict[Method, list[float]] = {"none": [], "steps": [], "smooth": []}
    logs = np.concatenate([stretch.logs for stretch in stretches]) if stretches else np.zeros(0)
    left_out = 0
    for number, stretch in enumerate(stretches):
        for index, (at_s, value) in enumerate(zip(stretch.times.tolist(), stretch.logs.tolist(), strict=True)):
            near = _around(stretches, number, index)
            if near is not None:
                errors["none"].append(abs(value - float(np.median(np.delete(logs, left_out)))))
                errors["steps"].append(abs(value - near.middle))
                errors["smooth"].append(abs(value - near.curve(at_s)))
            left_out += 1
    best: Method = "none"
    methods: tuple[Method, ...] = ("steps", "smooth")
    for method in methods:
        if errors["none"] and np.mean(errors[method]) < _BETTER * np.mean(errors[best]):
            best = method
    return best


def _around(stretches: Sequence[_Stretch], number: int, index: int) -> _Stretch | None:
    """The stretch that a sentinel would be predicted from, were it not there; None where there is none.

    The others are cut anew: where noise makes jumps, a stretch that it had a part in cutting knows it already.
    """
    stretch, at_s = stretches[number], float(stretches[number].times[index])
    parts = [stretch.part(None, index), stretch.part(index + 1, None)]
    if index == 0 and number > 0:
        parts[0] = stretches[number - 1]
    if index == len(stretch.logs) - 1 and number < len(stretches) - 1:
        parts[1] = stretches[number + 1]
    sides = [part for part in parts if len(part.logs) and part.boot == stretch.boot]
    if len(sides) == 2 and abs(sides[1].logs[0] - sides[0].logs[-1]) <= JUMP:
        before, after = sides
        times, logs = np.concatenate([before.times, after.times]), np.concatenate([before.logs, after.logs])
        return _Stretch(stretch.boot, times, logs)
    return _nearest(sides, stretch.boot, at_s)


def _nearest(stretches: Sequence[_Stretch], boot: str, at_s: float) -> _Stretch | None:
    """The stretch that a moment lies in or next to; None where nothing is known since that start of the machine."""
    known = [stretch for stretch in stretches if stretch.boot == boot]
    return min(known, key=lambda stretch: np.abs(stretch.times - at_s).min(), default=None)
