from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.report.chart import Axis, Chart, Point, Scale, Series

values = st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=20)


@given(values, st.booleans())
def test_a_scale_holds_every_value_inside_its_ends(numbers: list[float], log: bool) -> None:
    scale = Scale.around(numbers, log=log)
    assert all(0 <= scale.position(value) <= 1 for value in numbers)
    assert scale.position(scale.low) == pytest.approx(0)
    assert scale.position(scale.high) == pytest.approx(1)


@given(values, st.booleans())
def test_ticks_are_inside_few_and_told_apart_by_their_text(numbers: list[float], log: bool) -> None:
    scale = Scale.around(numbers, log=log)
    ticks = scale.ticks()
    texts = [scale.tick_text(tick) for tick in ticks]
    slack = 1e-9 * (scale.high - scale.low)
    assert all(scale.low - slack <= tick <= scale.high + slack for tick in ticks)
    assert 2 <= len(ticks) <= 14
    assert len(set(texts)) == len(texts)
    assert all(
        math.isclose(float(text), tick, rel_tol=1e-6, abs_tol=slack) for text, tick in zip(texts, ticks, strict=True)
    )


def test_a_whole_axis_marks_whole_numbers_only() -> None:
    chart = Chart("c", "t", Axis("Epoch", whole=True), Axis("y"), (Series("s", "line", (Point(1, 0), Point(2, 0))),))
    assert chart.scales()[0].ticks() == [1, 2]


def test_a_scale_of_nothing_and_of_one_value_can_be_drawn() -> None:
    for scale in (
        Scale.around([]),
        Scale.around([], log=True),
        Scale.around([0.0]),
        Scale.around([-3.0, 5.0], log=True),
    ):
        assert scale.low < scale.high
        assert scale.ticks()


def test_a_diagonal_chart_has_the_same_range_on_both_axes() -> None:
    points = (Point(1, 5), Point(2, 3))
    x, y = Chart("c", "t", Axis("x"), Axis("y"), (Series("s", "dot", points),), diagonal=True).scales()
    assert x == y


def test_whiskers_and_limits_are_inside_the_chart() -> None:
    chart = Chart("c", "t", Axis("x"), Axis("y"), (Series("s", "dot", (Point(1, 5, x_high=9),)),), x_limit=12)
    assert chart.scales()[0].high > 12
