"""The benchmark against hand-made families: what it makes of figures, and a quick run that is gone on with."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

Figures = tuple[float, float]
FIGURES = st.lists(st.tuples(st.integers(1, 9).map(float), st.integers(0, 9).map(lambda n: n / 10)), max_size=6)


@pytest.fixture
def summary(benchmarks: Path) -> ModuleType:
    return importlib.import_module("families_summary")


@pytest.fixture
def families(benchmarks: Path) -> ModuleType:
    return importlib.import_module("families")


def rows(front: list[Figures], others: list[Figures], target: str = "t") -> list[dict[str, Any]]:
    named = [(f"front-{i}", "front", one) for i, one in enumerate(front)]
    named += [(f"v2_{i}", "v2", one) for i, one in enumerate(others)]
    return [
        {"network": n, "family": f, "target": target, "macs": 1, "latency_ms": ms}
        | {"validation_accuracy": top1, "test_accuracy": top1}
        for n, f, (ms, top1) in named
    ]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(front=FIGURES.filter(bool), others=FIGURES.filter(bool))
def test_the_front_holds_where_it_is_as_accurate_at_every_latency(
    summary: ModuleType, front: list[Figures], others: list[Figures]
) -> None:
    def best(figures: list[Figures], latency: float) -> float:
        return max((top1 for ms, top1 in figures if ms <= latency), default=-1.0)

    behind, *_, speed_up = summary.claims_of(summary.compared(rows(front, others)))
    every = [ms for ms, _ in front + others]
    assert behind.holds == all(best(front, ms) >= best(others, ms) for ms in every)
    ratios = [ms / our for ms, top1 in others for our, our_top1 in front if our_top1 >= top1]
    assert speed_up.value == pytest.approx(max(ratios, default=0.0))


def test_targets_are_apart_and_a_network_faster_than_the_front_counts_against_it(summary: ModuleType) -> None:
    found = summary.compared(rows([(2, 0.8), (4, 0.9)], [(1, 0.5), (5, 0.85)]) + rows([(1, 0.9)], [(2, 0.8)], "u"))
    assert [row["lead_points"] for row in found if row["family"] == "v2"] == [None, pytest.approx(5), pytest.approx(10)]
    values = [(claim.value, claim.holds) for claim in summary.claims_of(found)]
    approx = pytest.approx
    assert values[:3] == [(1, False), (approx(5), True), (approx(1.25), False)]
    assert values[3:] == [(0, True), (approx(10), True), (approx(2), True)]
    assert [len(chart.series) for chart in summary.charts(found)] == [3, 3]
    assert "front-0" in summary.table(found)


def test_the_member_that_stands_for_the_front_is_chosen_on_validation_images(summary: ModuleType) -> None:
    given = rows([(2, 0.8), (3, 0.9)], [(4, 0.85)])
    lucky, chosen, hand_made = given
    lucky["test_accuracy"], chosen["test_accuracy"], hand_made["test_accuracy"] = 0.99, 0.86, 0.85
    row = summary.compared(given)[-1]
    assert row["lead_points"] == pytest.approx(1) and row["speed_up"] == pytest.approx(4 / 3)
    chosen["test_accuracy"] = 0.84
    row = summary.compared(given)[-1]
    assert row["lead_points"] == pytest.approx(-1) and row["speed_up"] is None


def test_names_tell_the_family(summary: ModuleType) -> None:
    named = {"mobilenetv2_0.35": "mobilenetv2", "mobilenetv3_small": "mobilenetv3_small", "front-01-ab": "front"}
    assert {name: summary.family_of(name) for name in named} == named
    assert summary.family_of("mobilenetv3_large_0.75") == "mobilenetv3_large"


def test_a_run_that_is_not_finished_is_told(families: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        families.main([])
    with pytest.raises(SystemExit, match="no run directory"):
        families.main(["--quick", "--run-dir", str(tmp_path), "--work", str(tmp_path / "work")])


@pytest.mark.slow
def test_a_quick_run_measures_both_sides_and_is_gone_on_with(
    families: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out.json"
    words = ["--quick", "--work", str(tmp_path / "work"), "--out", str(out)]
    families.main([*words, "--train-only"])
    assert not out.exists()

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("made again")

    monkeypatch.setattr(importlib.import_module("trained"), "train", never)
    families.main(words)
    result = json.loads(out.read_text())
    found = {(row["network"], row["target"]): row for row in result["rows"]}
    targets = ("ort-int8", "litert-int8")
    members = {row["network"] for row in result["rows"] if row["family"] == "front"}
    assert members
    assert set(found) == {(name, target) for name in {*members, *families.QUICK_NETWORKS} for target in targets}
    assert all(row["latency_ms"] > 0 and 0 <= row["test_accuracy"] <= 1 for row in found.values())
    assert {claim["unit"] for claim in result["claims"]} >= {"networks", "times"}
    for target in targets:
        assert (tmp_path / f"out-{target}.png").read_bytes().startswith(b"\x89PNG")

    monkeypatch.setattr(families, "file_accuracy", never)
    families.main(words)
    again = {(row["network"], row["target"]): row for row in json.loads(out.read_text())["rows"]}
    assert again == found
