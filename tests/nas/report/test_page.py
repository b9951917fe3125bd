from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from nas.report.page import charts, headline, render
from nas.report.values import Check, Latency, Member, ModelFile, Problem, Round, RunData, Target

HOSTILE = "<script>alert(1)</script>"


class Outline(HTMLParser):
    """Checks that elements close in order, and collects what would be fetched."""

    EMPTY = ("meta", "link", "br", "circle", "line", "path")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []
        self.tags: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        values = dict(attrs)
        self.fetched += [v for name in ("src", "href") if (v := values.get(name)) and not v.startswith(("data:", "#"))]
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def run_of(member: Member, **more: object) -> RunData:
    target = Target("phone", "fake", "onnx", "int8", (("Processor", "x"),))
    return RunData("run", targets=(target,), members=(member,), **more)  # type: ignore[arg-type]


MEMBER = Member(
    "k", "01-k", (("depth", "2"),), 16, 1_500_000, 20_000, 3_000, 0.93,
    {"phone": Latency(1.25e-3, 1.5e-3, 1.1e-3)},
    (ModelFile("model.int8.onnx", "onnx", "int8", 50_000, 0.925, 0.917, "ab" * 32),),
)  # fmt: skip


def test_a_run_of_which_nothing_has_run_says_what_to_run() -> None:
    page = render(RunData("empty"), charts(RunData("empty")))
    Outline(page)
    for stage in ("train", "profile", "fit", "search", "confirm"):
        assert f"nas {stage} RUN_DIR" in page


def test_figures_are_shown_in_the_units_that_people_read() -> None:
    page = render(run_of(MEMBER), charts(run_of(MEMBER)))
    row = page[page.index('<tr data-key="k">') : page.index("</tr>", page.index('<tr data-key="k">'))]
    cells = re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row)
    assert cells == ["01-k", "16", "1.50", "20", "3.0", "91.7", "1.25", "1.50", "1.10"]


def test_the_headline_is_of_the_front_and_of_test_images() -> None:
    beaten = Member("b", "b", accuracy=0.99, latencies={"phone": Latency(1e-6)}, on_front=False)
    run = run_of(MEMBER)
    run = RunData(run.title, targets=run.targets, members=(MEMBER, beaten))
    shown = {figure.label: figure.value for figure in headline(run)}
    assert shown["Networks on the measured front"] == "1"
    assert shown["Most accurate file by validation images, on test images"] == "91.7 %"
    assert shown["Fastest on phone"] == "1.25 ms"


@pytest.mark.parametrize("field", ["title", "subtitle", "config_text", "problem", "name", "target"])
def test_every_text_is_escaped(field: str) -> None:
    member = Member("k", HOSTILE if field == "name" else "n", (("a", HOSTILE),), latencies={"t": Latency(1e-3)})
    target = Target(HOSTILE if field == "target" else "t", HOSTILE, "onnx", "int8", ((HOSTILE, HOSTILE),))
    run = RunData(
        HOSTILE, HOSTILE, HOSTILE, (target,), (member,), provenance=((HOSTILE, HOSTILE),),
        problems=(Problem(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE),),
    )  # fmt: skip
    page = render(run, charts(run))
    assert page.count("<script") == 1
    assert "&lt;script&gt;" in page


def test_the_page_is_well_formed_and_fetches_nothing() -> None:
    outline = Outline(render(run_of(MEMBER), charts(run_of(MEMBER))))
    assert outline.open == []
    assert outline.fetched == []
    assert "img" not in outline.tags


@pytest.mark.parametrize(("measured_s", "shown"), [(0.9999e-3, "0.0"), (1.0001e-3, "0.0"), (0.95e-3, "-5.0")])
def test_what_rounds_to_zero_has_no_sign(measured_s: float, shown: str) -> None:
    check = Check("k", "01-k", "phone", 1e-3, 0.9e-3, 1.1e-3, measured_s, True)
    run = run_of(MEMBER, rounds=(Round(1, 10, (), (check,), (), 1, 1),))
    assert f'<td>{shown}</td><td class="text good">' in render(run, charts(run))


def test_a_failed_measurement_is_no_number() -> None:
    failed = Member("k", "n", latencies={"phone": Latency(error="it hung", predicted_s=1e-3)}, accuracy=0.9)
    page = render(run_of(failed), charts(run_of(failed)))
    assert ">failed</td>" in page
