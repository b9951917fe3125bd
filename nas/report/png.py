"""Draws a chart as a PNG with matplotlib, for places where no page can go."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from nas.files import replacing
from nas.report.chart import Chart, Scale, Series

# The palette of the page (page.css) on white.
COLOURS = ("#0f6fb8", "#b8500f", "#12805c", "#8a4fb5", "#6b7280")


def write_png(chart: Chart, path: Path, *, dots_per_inch: int = 150) -> None:
    """Draw the chart and write it atomically. No window system is needed."""
    figure = Figure(figsize=(7, 4.6), dpi=dots_per_inch, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    x, y = chart.scales()
    for series in chart.series:
        _draw(axes, series)
    if chart.diagonal:
        axes.axline((x.low, x.low), (x.high, x.high), color="#9ca3af", linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    if chart.x_limit is not None:
        axes.axvline(chart.x_limit, color="#b3261e", linewidth=1, linestyle=(0, (4, 3)), label="Limit", zorder=1)
    _dress(axes, chart, x, y)
    with replacing(path) as stream:
        figure.savefig(stream, format="png")


def _draw(axes: Axes, series: Series) -> None:
    colour = COLOURS[series.colour % len(COLOURS)]
    xs, ys = [p.x for p in series.points], [p.y for p in series.points]
    looks: dict[str, dict[str, Any]] = {
        "cloud": {"s": 7, "color": colour, "alpha": 0.35, "linewidths": 0, "zorder": 2},
        "ring": {"s": 34, "facecolors": "none", "edgecolors": colour, "linewidths": 1.3, "zorder": 4},
        "dot": {"s": 38, "color": colour, "zorder": 5},
        "cross": {"s": 38, "color": colour, "marker": "x", "zorder": 4},
    }
    if series.style == "link":
        for start, end in zip(series.points[::2], series.points[1::2], strict=True):
            axes.plot([start.x, end.x], [start.y, end.y], color=colour, linewidth=0.8, alpha=0.6, zorder=3)
    elif series.style in ("line", "dashed"):
        dashes = (0, (4, 3)) if series.style == "dashed" else "-"
        axes.plot(xs, ys, color=colour, linewidth=1.6, linestyle=dashes, label=series.name, zorder=3)
    elif series.points:
        axes.scatter(xs, ys, label=series.name, **looks[series.style])
        for point in series.points:
            if point.x_high is not None:
                axes.plot([point.x, point.x_high], [point.y, point.y], color=colour, linewidth=1, zorder=3)


def _dress(axes: Axes, chart: Chart, x: Scale, y: Scale) -> None:
    axes.set_title(chart.title, loc="left", fontsize=11, fontweight="bold")
    axes.set_xlabel(chart.x.label)
    axes.set_ylabel(chart.y.label)
    if x.log:
        axes.set_xscale("log")
    if y.log:
        axes.set_yscale("log")
    axes.set_xlim(x.low, x.high)
    axes.set_ylim(y.low, y.high)
    for scale, axis in ((x, axes.xaxis), (y, axes.yaxis)):
        axis.set_major_locator(FixedLocator(scale.ticks()))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(lambda value, _, scale=scale: scale.tick_text(value)))
    axes.grid(color="#e5e7eb", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=8.5)
