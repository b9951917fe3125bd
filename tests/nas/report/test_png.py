from __future__ import annotations

from pathlib import Path

from PIL import Image

from nas.report.chart import Axis, Chart, Point, Series, Style
from nas.report.png import write_png

STYLES: tuple[Style, ...] = ("cloud", "ring", "dot", "cross", "line", "dashed", "link")


def test_a_chart_of_every_style_is_drawn_alike_every_time(tmp_path: Path) -> None:
    points = (Point(1, 2, "a", "a"), Point(3, 4, "b", "b", x_high=5))
    series = tuple(Series(style, style, points, colour) for colour, style in enumerate(STYLES))
    chart = Chart("c", "Title", Axis("Latency (ms)", log=True), Axis("Accuracy (%)"), series, x_limit=4)
    for name in ("one.png", "two.png"):
        write_png(chart, tmp_path / name)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    assert Image.open(tmp_path / "one.png").size == (1050, 690)


def test_empty_series_and_a_diagonal_are_drawn(tmp_path: Path) -> None:
    chart = Chart("c", "Title", Axis("x"), Axis("y"), (Series("none", "dot", ()),), diagonal=True)
    write_png(chart, tmp_path / "empty.png")
    assert (tmp_path / "empty.png").stat().st_size > 1000
