from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from nas.report.chart import Axis, Chart, Point, Series, Style
from nas.report.svg import HEIGHT, WIDTH, legend, svg

STYLES: tuple[Style, ...] = ("cloud", "ring", "dot", "cross", "line", "dashed", "link")


def chart(style: Style, label: str = "") -> Chart:
    points = (Point(1, 2, label, "a"), Point(3, 4, label, "b", x_high=5))
    return Chart("c", "A title", Axis("ms", log=True), Axis("%"), (Series("name", style, points),), x_limit=4)


@pytest.mark.parametrize("style", STYLES)
def test_every_style_is_well_formed_and_inside_the_drawing(style: Style) -> None:
    tree = ET.fromstring(svg(chart(style, "one\ntwo")))  # noqa: S314 (our own text)
    for element in tree.iter("circle"):
        assert 0 <= float(element.attrib["cx"]) <= WIDTH
        assert 0 <= float(element.attrib["cy"]) <= HEIGHT


@pytest.mark.parametrize("style", ["ring", "dot", "cross"])
def test_a_mark_with_a_label_can_be_pointed_at_and_reached_by_keyboard(style: Style) -> None:
    marks = [e for e in ET.fromstring(svg(chart(style, "one\ntwo"))).iter() if "mark" in e.get("class", "").split()]  # noqa: S314
    assert [mark.attrib["data-key"] for mark in marks] == ["a", "b"]
    assert all(mark.attrib["tabindex"] == "0" and mark.attrib["aria-label"] == "one two" for mark in marks)


def test_texts_are_escaped() -> None:
    hostile = '"><script>alert(1)</script>'
    drawn = Chart(
        "c", hostile, Axis(hostile), Axis(hostile), (Series(hostile, "dot", (Point(1, 1, hostile, hostile),)),)
    )
    assert "<script" not in svg(drawn) + legend(drawn)
    ET.fromstring(svg(drawn))  # noqa: S314


def test_links_are_left_out_of_the_legend() -> None:
    assert legend(chart("link")) == ""
    assert "name" in legend(chart("dot"))


def test_a_thousand_faint_points_are_one_path() -> None:
    cloud = Series("many", "cloud", tuple(Point(1 + i / 1000, i) for i in range(1000)))
    drawn = svg(Chart("c", "t", Axis("x"), Axis("y"), (cloud,)))
    assert drawn.count("<path") == 1
    assert len(drawn) < 30_000
