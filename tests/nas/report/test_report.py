from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from nas.errors import NasError
from nas.report import write_report
from nas.report.load import load

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import WrittenRun


def test_a_directory_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NasError, match="no run directory"):
        write_report(tmp_path)
    assert not list(tmp_path.iterdir())


def test_every_state_of_a_run_has_a_report(written: WrittenRun) -> None:
    for stage in (None, written.train, written.profile, written.fit, written.search, written.confirm):
        if stage is not None:
            stage()
        page = write_report(written.path)
        assert "my-run" in page.read_text()
    names = {path.name for path in page.parent.iterdir()}
    assert names == {
        "index.html", "front-slow-chip.png", "front-narrow-bus.png", "predictor-slow-chip.png",
        "predictor-narrow-bus.png", "training-accuracy.png", "training-loss.png",
    }  # fmt: skip


def test_the_report_writes_nowhere_else_and_is_the_same_every_time(written: WrittenRun) -> None:
    written.train()
    written.profile()
    before = {path: path.read_bytes() for path in written.path.rglob("*") if path.is_file()}
    first = write_report(written.path).read_bytes()
    assert write_report(written.path).read_bytes() == first
    after = {path: path.read_bytes() for path in written.path.rglob("*") if path.is_file()}
    assert {path: data for path, data in after.items() if path.parent.name != "report"} == before


def test_a_torn_last_line_is_passed_over_and_another_is_an_error(written: WrittenRun) -> None:
    written.train()
    assert [epoch.epoch for epoch in load(written.path).epochs] == [1, 2, 3]
    log = written.path / "train" / "log.jsonl"
    log.write_text("{torn\n" + log.read_text())
    with pytest.raises(NasError, match="line 1"):
        load(written.path)


def test_failures_and_what_was_dropped_are_kept_with_their_reasons(written: WrittenRun) -> None:
    written.profile()
    written.confirm()
    problems = load(written.path).problems
    assert [problem.what for problem in problems] == ["measurement failed", "dropped from the front"]
    assert "signal 11" in problems[0].reason
    assert "at most 1 ms" in problems[1].reason
    page = write_report(written.path).read_text()
    assert "the worker &lt;died&gt; with signal 11" in page


def test_rounds_show_what_was_predicted_and_what_was_measured(written: WrittenRun) -> None:
    written.profile()
    written.confirm()
    written.rounds()
    first, second = load(written.path).rounds
    assert [check.within for check in (*first.checks, *second.checks)] == [False, True]
    assert first.checks[0].difference == pytest.approx(0.5)
    page = write_report(written.path).read_text()
    shown = page[page.index('<section id="rounds">') : page.index('<section id="problems">')]
    assert "<td>1.00</td><td>0.900 to 1.10</td><td>1.50</td><td>50.0</td>" in shown
    assert "1 of 1 networks are &lt;outside&gt;" in shown
    assert "before 33.3 %, now 2.1 %" in shown
    assert "40 more candidates were judged; 1 networks were measured, of which 0 are new" in shown


def test_fronts_of_targets_and_of_a_fleet_are_shown(written: WrittenRun) -> None:
    written.profile()
    written.search()
    written.confirm()
    assert load(written.path).shared == ()
    assert 'id="shared"' not in write_report(written.path).read_text()
    written.fleet()
    data = load(written.path)
    assert [one.fronts for one in data.shared] == [
        ("slow-chip", "narrow-bus"), ("narrow-bus", "fleet"), (), ()
    ]  # fmt: skip
    page = write_report(written.path).read_text()
    shown = page[page.index('<section id="shared">') : page.index('<section id="rounds">')]
    assert "<td>2.00</td><td><b>2.00</b></td><td><b>3.00</b></td>" in shown
    assert "One network for all targets: mean weighted latency" in page
    assert (written.path / "report" / "front-fleet.png").stat().st_size > 0


def test_doubts_about_a_measurement_and_how_passes_agreed_are_shown(written: WrittenRun) -> None:
    written.profile()
    path = written.path / "profile" / "measurements.json"
    result = json.loads(path.read_text())
    result["rows"][0]["flags"] = ["busy", "passes_differ"]
    agreed = {"networks": 4, "spearman": 0.987, "median_difference": 0.012}
    quality = {
        "networks": 4, "agreement": agreed, "agreement_uncorrected": agreed, "drift_method": "smooth",
        "largest_drift": 0.034, "sentinels": 5, "repeated": 2, "flags": {"busy": 1, "passes_differ": 1},
    }  # fmt: skip
    result["quality"] = dict.fromkeys(("slow-chip", "narrow-bus"), quality)
    path.write_text(json.dumps(result))
    data = load(written.path)
    (doubt,) = [problem for problem in data.problems if problem.what == "measured with doubts"]
    assert "more than 5 % of the time" in doubt.reason and "medians differ" in doubt.reason
    told = dict(data.targets[0].environment)["Quality"]
    assert "0.987" in told and "1.2%" in told and "3.4%" in told and "busy 1" in told
    assert "measured with doubts" in write_report(written.path).read_text()


def test_members_have_measured_and_predicted_latency_and_counted_cost(written: WrittenRun) -> None:
    written.search()
    chosen = load(written.path).members
    assert [member.latency("slow-chip").median_s for member in chosen] == [None] * 4
    written.confirm()
    members = load(written.path).members
    assert [member.on_front for member in members] == [True, True, False]
    first = members[0]
    assert first.latency("slow-chip").median_s == pytest.approx(1.2e-3)
    assert first.latency("slow-chip").predicted_s == pytest.approx(1e-3)
    assert first.macs and first.parameters and first.peak_activation_bytes and first.input_px in (8, 12)
    target = load(written.path).targets[0]
    assert first.validation_on(target) == pytest.approx(0.89)


def test_a_candidate_that_was_never_judged_is_no_point(written: WrittenRun) -> None:
    written.search()
    assert len(load(written.path).searched) == len(written.archs) - 1


@pytest.mark.parametrize("damage", ["{", "[]", '{"rows": [1]}', '{"targets": {"slow-chip": {}}, "rows": []}'])
def test_a_damaged_result_is_one_error_and_nothing_is_overwritten(written: WrittenRun, damage: str) -> None:
    written.profile()
    page = write_report(written.path)
    old = page.read_bytes()
    (written.path / "profile" / "measurements.json").write_text(damage)
    with pytest.raises(NasError):
        write_report(written.path)
    assert page.read_bytes() == old


def test_a_predictor_that_failed_its_check_is_shown_as_failed(written: WrittenRun) -> None:
    written.profile()
    written.fit()
    scores = load(written.path).scores
    assert [(s.target, s.name, s.verdict) for s in scores] == [
        ("slow-chip", "boosting", "not the best"),
        ("slow-chip", "table", "used"),
        ("narrow-bus", "boosting", "not the best"),
        ("narrow-bus", "table", "best, but fails its check"),
    ]
    assert [bool(s.pairs) for s in scores] == [False, True, False, True]
