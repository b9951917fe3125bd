"""A chart as data: what is drawn, without how. The page draws it as SVG, and a PNG of it is written beside the page."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

Style: TypeAlias = Literal["cloud", "ring", "dot", "cross", "line", "dashed", "link"]


@dataclass(frozen=True)
class Point:
    """One mark.

    Attributes:
        label: what a reader sees on pointing at it; lines of text.
        key: marks and table rows of equal key light up together.
        x_high: right end of a whisker that starts at ``x``.
    """

    x: float
    y: float
    label: str = ""
    key: str = ""
    x_high: float | None = None


@dataclass(frozen=True)
class Series:
    """Marks of one kind.

    Attributes:
        style: ``cloud`` many faint points, ``ring`` hollow, ``dot`` filled, ``cross``, ``line`` and ``dashed`` joined
            points, ``link`` consecutive pairs of points joined by a thin line and left out of the legend.
        colour: index into the palette.
    """

    name: str
    style: Style
    points: tuple[Point, ...]
    colour: int = 0


@dataclass(frozen=True)
class Axis:
    """One axis; ``label`` names the unit, and on a ``whole`` one only whole numbers are marked."""

    label: str
    log: bool = False
    whole: bool = False


@dataclass(frozen=True)
class Chart:
    """A chart of points and lines.

    Attributes:
        name: the PNG's file name without its ending.
        diagonal: draw x = y, and give both axes the same range.
        x_limit: a value of x that must not be passed, drawn as a line.
    """

    name: str
    title: str
    x: Axis
    y: Axis
    series: tuple[Series, ...]
    caption: str = ""
    diagonal: bool = False
    x_limit: float | None = None

    @property
    def points(self) -> list[Point]:
        """Every finite point of every series."""
        return [p for s in self.series for p in s.points if math.isfinite(p.x) and math.isfinite(p.y)]

    def scales(self) -> tuple[Scale, Scale]:
        """Scales of x and y that hold every point and whisker, with a margin."""
        xs = [x for p in self.points for x in (p.x, p.x_high) if x is not None]
        ys = [p.y for p in self.points]
        if self.x_limit is not None:
            xs.append(self.x_limit)
        if self.diagonal:
            xs = ys = xs + ys
        x, y = Scale.around(xs, log=self.x.log), Scale.around(ys, log=self.y.log)
        return replace(x, whole=self.x.whole), replace(y, whole=self.y.whole)


@dataclass(frozen=True)
class Scale:
    """Values from ``low`` to ``high`` laid over 0 to 1, linearly or by their logarithm."""

    low: float
    high: float
    log: bool = False
    whole: bool = False

    @classmethod
    def around(cls, values: list[float], *, log: bool = False, margin: float = 0.06) -> Scale:
        """The scale that holds all values with a margin; a logarithmic one leaves out what is not positive."""
        usable = [value for value in values if value > 0 or not log]
        if not usable:
            return cls(0.1, 1.0, log) if log else cls(0.0, 1.0)
        low, high = min(usable), max(usable)
        if log:
            grow = max(high / low, 1.2) ** margin
            return cls(low / grow, high * grow, log)
        grow = margin * (high - low or abs(high) or 1.0)
        return cls(low - grow, high + grow)

    def position(self, value: float) -> float:
        """Where a value lies: 0 at ``low``, 1 at ``high``."""
        if self.log:
            return math.log(max(value, self.low / 10) / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def ticks(self, count: int = 6) -> list[float]:
        """Round values inside the scale, about ``count`` of them."""
        if self.log and self.high / self.low > 3:
            exponents = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            for steps in ((1, 1.5, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)):
                marks = [step * 10.0**e for e in exponents for step in steps]
                inside = [mark for mark in marks if self.low <= mark <= self.high]
                if len(inside) <= count + 2:
                    return inside
            return inside
        step = _round_step((self.high - self.low) / count)
        if self.whole:
            step = max(1.0, step)
        first = math.ceil(self.low / step - 1e-9)
        return [k * step for k in range(first, math.floor(self.high / step + 1e-9) + 1)]

    def tick_text(self, value: float) -> str:
        """A tick's value with as many decimals as tell neighbouring ticks apart."""
        if self.log and self.high / self.low > 3:
            return f"{value:.10g}"
        ticks = self.ticks()
        step = ticks[1] - ticks[0] if len(ticks) > 1 else abs(value) or 1.0
        return f"{value:.{max(0, -math.floor(math.log10(step) + 1e-9))}f}"


def _round_step(step: float) -> float:
    power: float = 10.0 ** math.floor(math.log10(step))
    return power * min((1, 2, 5, 10), key=lambda factor: abs(math.log(factor * power / step)))
