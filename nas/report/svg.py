"""Draws a chart as inline SVG: styled by the page's own CSS, so that it follows the reader's light or dark theme."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from markupsafe import Markup, escape

from nas.report.chart import Chart, Point, Scale, Series

WIDTH, HEIGHT = 560.0, 380.0
LEFT, RIGHT, TOP, BOTTOM = 66.0, 18.0, 12.0, 54.0

_MARK = Markup(' class="mark" tabindex="0" role="img" aria-label="{0}" data-tip="{0}" data-key="{1}"/>')

_Place: TypeAlias = tuple[float, float]


class _Canvas:
    """Turns values into coordinates of the drawing."""

    def __init__(self, x: Scale, y: Scale) -> None:
        self.x_scale, self.y_scale = x, y

    def x(self, value: float) -> float:
        return round(LEFT + self.x_scale.position(value) * (WIDTH - LEFT - RIGHT), 1)

    def y(self, value: float) -> float:
        return round(HEIGHT - BOTTOM - self.y_scale.position(value) * (HEIGHT - TOP - BOTTOM), 1)

    def at(self, x: float, y: float) -> _Place:
        return self.x(x), self.y(y)


def svg(chart: Chart) -> Markup:
    """The chart as an ``<svg>`` element; every mark with a label can be pointed at and reached by keyboard."""
    canvas = _Canvas(*chart.scales())
    parts = [*_axes(chart, canvas)]
    if chart.diagonal:
        low, high = canvas.x_scale.low, canvas.x_scale.high
        parts.append(_line("diagonal", canvas.at(low, low), canvas.at(high, high)))
    if chart.x_limit is not None:
        x = canvas.x(chart.x_limit)
        parts.append(_line("limit", (x, TOP), (x, HEIGHT - BOTTOM)))
        parts.append(_text("limit-label end", x - 6, TOP + 14, "limit"))
    for series in chart.series:
        parts.append(Markup('<g class="{} c{}">').format(series.style, series.colour))
        parts.extend(_series(series, canvas))
        parts.append(Markup("</g>"))
    return Markup('<svg viewBox="0 0 {:g} {:g}" role="group" aria-label="{}">{}</svg>').format(
        WIDTH, HEIGHT, f"{chart.title}: {chart.y.label} over {chart.x.label}", Markup("").join(parts)
    )


def legend(chart: Chart) -> Markup:
    """The chart's series with a swatch each, as a list."""
    return Markup("").join(
        Markup('<li><svg viewBox="0 0 22 12" aria-hidden="true"><g class="{} c{}">{}</g></svg>{}</li>').format(
            series.style, series.colour, _swatch(series), series.name
        )
        for series in chart.series
        if series.style != "link" and series.points
    )


def _axes(chart: Chart, canvas: _Canvas) -> Iterator[Markup]:
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    yield Markup('<g class="axes" aria-hidden="true">')
    for value in canvas.x_scale.ticks():
        x = canvas.x(value)
        yield _line("grid", (x, TOP), (x, bottom))
        yield _text("tick middle", x, bottom + 18, canvas.x_scale.tick_text(value))
    for value in canvas.y_scale.ticks():
        y = canvas.y(value)
        yield _line("grid", (LEFT, y), (right, y))
        yield _text("tick end", LEFT - 8, y + 4, canvas.y_scale.tick_text(value))
    yield _line("base", (LEFT, bottom), (right, bottom))
    yield _text("label middle", (LEFT + right) / 2, HEIGHT - 12, chart.x.label)
    yield Markup('<text class="label middle" transform="translate(15 {:g}) rotate(-90)">{}</text></g>').format(
        (TOP + bottom) / 2, chart.y.label
    )


def _series(series: Series, canvas: _Canvas) -> Iterator[Markup]:
    match series.style:
        case "cloud":
            # One path of dots of no length: thousands of points in a few bytes each.
            places = dict.fromkeys((canvas.x(p.x), canvas.y(p.y)) for p in series.points)
            yield Markup('<path d="{}"/>').format("".join(f"M{x:g} {y:g}h0" for x, y in places))
        case "link":
            for start, end in zip(series.points[::2], series.points[1::2], strict=True):
                yield _line("", canvas.at(start.x, start.y), canvas.at(end.x, end.y), start.key)
        case "line" | "dashed":
            path = "L".join(f"{canvas.x(p.x):g} {canvas.y(p.y):g}" for p in series.points)
            yield Markup('<path class="joined" d="M{}"/>').format(path)
            yield from (_mark(series, point, canvas, 2.5) for point in series.points if point.label)
        case _:
            for point in series.points:
                if point.x_high is not None:
                    median, high = canvas.at(point.x, point.y), canvas.at(point.x_high, point.y)
                    yield _line("whisker", median, high, point.key)
            yield from (_mark(series, point, canvas, 5.0) for point in series.points)


def _mark(series: Series, point: Point, canvas: _Canvas, radius: float) -> Markup:
    x, y = canvas.x(point.x), canvas.y(point.y)
    shape = (
        Markup('<path d="M{:g} {:g}l8 8m0-8l-8 8"').format(x - 4, y - 4)
        if series.style == "cross"
        else Markup('<circle cx="{:g}" cy="{:g}" r="{:g}"').format(x, y, radius)
    )
    if not point.label:
        return shape + Markup("/>")
    return shape + _MARK.format(point.label, point.key)


def _swatch(series: Series) -> Markup:
    match series.style:
        case "cloud":
            return Markup('<path d="M4 6h0M11 4h0M17 8h0"/>')
        case "cross":
            return Markup('<path d="M7 2l8 8m0-8l-8 8"/>')
        case "line" | "dashed":
            return Markup('<path class="joined" d="M1 6h20"/>')
        case _:
            return Markup('<circle cx="11" cy="6" r="4.5"/>')


def _line(style: str, start: _Place, end: _Place, key: str = "") -> Markup:
    extra = Markup(' data-key="{}"').format(key) if key else Markup("")
    return Markup('<line class="{}" x1="{:g}" y1="{:g}" x2="{:g}" y2="{:g}"{}/>').format(style, *start, *end, extra)


def _text(style: str, x: float, y: float, text: str) -> Markup:
    return Markup('<text class="{}" x="{:g}" y="{:g}">{}</text>').format(style, x, y, escape(text))
