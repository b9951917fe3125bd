"""The benchmark of training strategies: what it makes of accuracies, and a quick run that is gone on with."""

from __future__ import annotations

import importlib
import json
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from supernet import strategy_names


@pytest.fixture
def summary(benchmarks: Path) -> ModuleType:
    return importlib.import_module("strategies_summary")


@pytest.fixture
def strategies(benchmarks: Path) -> ModuleType:
    return importlib.import_module("strategies")


def accuracies(mean: float, *, order: int = 1, validation: float = 0.5) -> NDArray[np.float64]:
    """Of two seeds and six networks, the random ones up or down in steps of a point."""
    found = np.full((2, 6, 2), validation)
    found[..., 1] = mean + 0.01 * order * (np.arange(6) - 2.5)
    return found


def test_the_best_strategy_is_told_on_validation_and_judged_on_test_images(summary: ModuleType) -> None:
    supernets = {
        "recipe": accuracies(0.70, validation=0.6),
        "deps": accuracies(0.71, validation=0.7, order=-1),
        "progressive_shrinking": accuracies(0.66),
        "deps_half": accuracies(0.68, validation=0.9),
    }
    costs = {name: {"epochs": 4, "macs": 40 if name == "deps_half" else 100} for name in supernets}
    alone = accuracies(0.73)
    alone[1, :, 1] += 0.01
    found = summary.Found(costs, supernets, alone)
    assert summary.best(supernets) == "deps"
    behind, lead, tau = summary.claims_of(found)
    assert (behind.value, behind.spread, behind.seeds) == (pytest.approx(2.5), pytest.approx(0.5**0.5), 2)
    assert "(deps)" in behind.name and not behind.holds
    assert lead.value == pytest.approx(2) and lead.holds and "at 0.40 of" in lead.name
    assert tau.value == pytest.approx(-1) and not tau.holds
    assert found.tau("recipe") == pytest.approx([1, 1])
    same = summary.Found(costs, {**supernets, "recipe": np.full((2, 6, 2), 0.1)}, alone)
    assert same.tau("recipe") == [0, 0]
    assert "deps_half" in summary.table(found) and "69.00 %" in summary.table(found)


def test_every_strategy_gets_the_compute_of_the_recipe(strategies: ModuleType) -> None:
    quick = strategies.QUICK
    config = strategies.load_config(quick.config, overrides=quick.overrides)
    asked = strategies.variants(config.train_settings, quick.options)
    assert set(asked) == {"recipe", *strategy_names()}
    planned = strategies.equal_compute(config.make_space(), asked, 80)
    budget = planned["recipe"][1]
    assert planned["recipe"][0].epochs == config.train.epochs
    for name in ("single_path", "sandwich", "deps"):
        settings, taken = planned[name]
        assert budget * (1 - 1.5 / settings.epochs) <= taken <= budget
    assert planned["deps_half"][1] <= planned["progressive_shrinking"][1] / 2


def test_sub_networks_are_the_ends_and_different_random_ones(strategies: ModuleType) -> None:
    quick = strategies.QUICK
    space = strategies.load_config(quick.config, overrides=quick.overrides).make_space()
    archs = strategies.subnetworks(space, 3)
    assert archs[:2] == [space.smallest(), space.largest()]
    assert len(set(archs)) == 5
    assert archs == strategies.subnetworks(space, 3)
    assert len(strategies.subnetworks(space, 1000)) == space.size


@pytest.mark.slow
def test_a_quick_run_trains_every_strategy_and_is_gone_on_with(
    strategies: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, out = tmp_path / "work", tmp_path / "out.json"

    def run() -> dict[str, Any]:
        strategies.main(["--quick", "--seeds", "1", "--work", str(work), "--out", str(out)])
        result: dict[str, Any] = json.loads(out.read_text())
        return result

    first = run()
    names = {"recipe", "deps_half", *strategy_names()}
    trained = [row for row in first["rows"] if row.get("strategy")]
    assert {row["strategy"] for row in trained} == names
    assert sum(row["best"] for row in trained) == 1
    networks = [row for row in first["rows"] if "network" in row]
    assert [row["kind"] for row in networks] == ["smallest", "largest", "random", "random", "random"]
    assert all(set(row["inside"]) == names and len(row["alone"]) == 1 for row in networks)
    assert len(first["claims"]) == 3 and all(np.isfinite(claim["value"]) for claim in first["claims"])

    made: list[Path] = []
    helper = importlib.import_module("trained")
    train = helper.train

    def counted(space: Any, data: Any, settings: Any, directory: Path, listener: Any) -> Any:
        made.append(directory)
        return train(space, data, settings, directory, listener)

    monkeypatch.setattr(helper, "train", counted)
    (alone,) = work.glob("alone-*")
    lost = [work / "deps" / "seed-0", sorted(folder for folder in alone.iterdir() if folder.is_dir())[0]]
    for folder in lost:
        shutil.rmtree(folder)
    assert run()["rows"] == first["rows"]
    assert made == lost
