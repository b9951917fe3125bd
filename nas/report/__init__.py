"""The report of a run: one page that anybody can open, and a PNG of each of its charts."""

from __future__ import annotations

from pathlib import Path

from nas.files import write_text
from nas.report.load import load
from nas.report.page import charts, render
from nas.report.png import write_png

__all__ = ["write_report"]


def write_report(run_dir: Path) -> Path:
    """Write ``report/index.html`` and a PNG of each chart from what a run has so far.

    The page needs nothing but itself: style, script and charts are inside, and nothing is fetched when it is opened.

    Args:
        run_dir: directory of a run, finished or not; only ``report/`` in it is written to.

    Returns:
        The page.

    Raises:
        NasError: no run directory, or a file in it that is damaged.
    """
    run = load(run_dir)
    drawn = charts(run)
    directory = run_dir / "report"
    for section in drawn.values():
        for chart in section:
            write_png(chart, directory / f"{chart.name}.png")
    page = directory / "index.html"
    write_text(page, render(run, drawn))
    return page
