"""Fronts of each target and of a fleet: which networks they need, and a whole run for one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas import load_config, run
from nas.candidate import Candidate, Metric, latency_metric
from nas.config import Config, make_config
from nas.files import read_json
from nas.fleet import device_fronts, fleet_front
from nas.pareto import ParetoFront
from nas.run_directory import RunDirectory
from nas.stages.fronts import ALL, View, searched_views, shared_views, united
from nas.stages.shipped import fronts_on_card, shipped_fronts
from search_spaces import Architecture

CONFIGS = Path(__file__).parents[3] / "experiments" / "configs"
TARGETS = ("phone", "board")

tenths = st.integers(1, 9).map(lambda value: value / 10)
populations = st.lists(st.tuples(tenths, tenths, tenths), max_size=10)


def config(**changes: Any) -> Config:
    return make_config(
        {
            "space": {"name": "mobilenetv3_32"},
            "data": {"source": "digits"},
            "targets": [{"name": name, "device": "fake"} for name in TARGETS],
            **changes,
        }
    )


def candidates(values: list[tuple[float, float, float]]) -> list[Candidate]:
    found = []
    for number, (accuracy, *latencies) in enumerate(values):
        metrics = {"accuracy": Metric(accuracy, "1", "evaluated")}
        metrics |= {latency_metric(t): Metric(s, "s", "measured") for t, s in zip(TARGETS, latencies, strict=True)}
        found.append(Candidate(Architecture("toy", (number,)), metrics))
    return found


@settings(max_examples=50, deadline=None)
@given(populations, st.sampled_from(["worst", "mean"]), st.sampled_from([{}, {"phone": 2.0, "board": 0.5}]), tenths)
def test_every_front_that_is_needed_is_there(
    values: list[tuple[float, float, float]], how: Any, weights: dict[str, float], most: float
) -> None:
    limits = [{"metric": "latency_s.board", "at_most": most}]
    given = config(limits=limits, fleet={"how": how, "weights": weights})
    found, problem = candidates(values), given.problem
    fronts = {view.name: view.front(found) for view in searched_views(given, problem)}
    assert fronts.pop(ALL) == list(ParetoFront.of(found, problem).members)
    fleet = fleet_front(found, problem, weights or dict.fromkeys(TARGETS, 1.0), how)
    assert [one.arch for one in fronts.pop("fleet")] == [one.arch for one in fleet]
    expected = {name: list(front.members) for name, front in device_fronts(found, problem, TARGETS).items()}
    assert fronts == expected


def test_without_a_fleet_only_the_whole_front_is_searched_and_each_targets_shown() -> None:
    given = config()
    assert [view.name for view in searched_views(given, given.problem)] == [ALL]
    assert [view.name for view in shared_views(given, given.problem)] == [*TARGETS]
    one = config(targets=[{"name": "phone", "device": "fake"}])
    assert shared_views(one, one.problem) == []
    only = config(objectives=[{"metric": "latency_s.phone", "direction": "minimize"}])
    assert [view.name for view in shared_views(only, only.problem)] == ["phone"]


def test_united_keeps_each_once_in_order() -> None:
    a, b, c = candidates([(0.1, 0.1, 0.1)] * 3)
    assert united([[a, b], [], [b, c, a]]) == [a, b, c]


def test_a_view_without_weights_sees_its_own_problem() -> None:
    given = config()
    assert View(ALL, given.problem).problem == given.problem


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """A run for a fleet in which one target has a limit that the other's best networks break."""
    small = [
        "train.epochs=1",
        "profile.networks=8",
        "predictor={names: [cost_model, block_table], folds: 4}",
        "search={evaluations: 20, batch: 10, options: {population: 10}}",
        "confirm={members: 2, rounds: 0}",
        "limits=[{metric: latency_s.narrow-bus, at_most: 2.5e-3}]",
        "fleet={how: mean, weights: {slow-chip: 3, narrow-bus: 1}}",
        "export.count=1",
    ]
    given = load_config(CONFIGS / "digits_fake.yaml", overrides=small)
    return run(given, tmp_path_factory.mktemp("fleet") / "run")


def test_a_run_for_a_fleet_measures_and_exports_what_each_front_needs(finished: RunDirectory) -> None:
    searched, confirmed = (read_json(finished.result(stage)) for stage in ("search", "confirm"))
    assert searched["fronts"].keys() == {"slow-chip", "narrow-bus", "fleet"}
    slow = [Candidate.from_json(row) for row in searched["fronts"]["slow-chip"]]
    (limit,) = finished.config.limits
    assert any(limit.violation(candidate) > 0 for candidate in slow)
    measured = {row["key"] for part in ("members", "dominated", "dropped") for row in confirmed[part]}
    for front in (searched["members"], *searched["fronts"].values()):
        assert {front[0]["key"], front[-1]["key"]} <= measured
    exported = {card["key"]: card for card in map(read_json, finished.path.glob("export/*/card.json"))}
    for front in shipped_fronts(confirmed, fleet=True):
        assert exported.keys() & {row["key"] for row in front}
    for key, card in exported.items():
        assert {"fronts": card["fronts"], "fleet": card["fleet"]} == fronts_on_card(confirmed, key)
        seconds = {name: latency["median_s"] for name, latency in card["latency"].items()}
        mean = (3 * seconds["slow-chip"] + seconds["narrow-bus"]) / 4
        assert card["fleet"]["latency_s"] == pytest.approx(mean)


def test_single_networks_for_all_keep_every_limit_as_measured(finished: RunDirectory) -> None:
    confirmed = read_json(finished.result("confirm"))
    rows = {row["key"]: row for part in ("members", "dominated", "dropped") for row in confirmed[part]}
    fronts = confirmed["fronts"]["members"]
    (limit,) = finished.config.limits
    assert fronts["fleet"] != []
    for name in ("fleet", "narrow-bus"):
        for key in fronts[name]:
            assert limit.violation(Candidate.from_json(rows[key])) == 0
    assert any(limit.violation(Candidate.from_json(rows[key])) > 0 for key in fronts["slow-chip"])
    page = (finished.path / "report" / "index.html").read_text()
    assert "One network for all targets, or one for each" in page


def test_a_run_of_an_earlier_version_says_nothing_of_fronts() -> None:
    assert fronts_on_card(json.loads('{"members": [], "dominated": [], "dropped": []}'), "k") == {}
