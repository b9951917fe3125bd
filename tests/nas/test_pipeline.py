"""The whole road on simulated devices: every stage, what it leaves behind, and that it is done once."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from devices import Artifact, FakeDevice, Measurement, MeasureSettings
from nas import NasError, load_config, run, run_stage
from nas.candidate import Candidate
from nas.config import Config
from nas.errors import BusyError
from nas.ledger import Ledger
from nas.pareto import ParetoFront
from nas.run_directory import STAGES, RunDirectory
from supernet import SupernetError
from supernet.data import DataSettings, load_images

CONFIGS = Path(__file__).parents[2] / "experiments" / "configs"
FILES = {"model.onnx", "model.int8.onnx", "model.tflite", "model.int8.tflite", "weights.safetensors"}


def config(*overrides: str) -> Config:
    small = ["profile.networks=6", "predictor={folds: 3, min_spearman: -1, max_mape: 9}", "search.evaluations=20"]
    return load_config(CONFIGS / "digits_fake.yaml", overrides=[*small, "confirm.members=3", *overrides])


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def results(run_dir: Path) -> dict[str, bytes]:
    """Every file that must be the same in each run, by its name."""
    names = ("profile/measurements.json", "search/candidates.jsonl", "confirm/front.json", "export/*/*", "train/w*")
    return {str(p.relative_to(run_dir)): p.read_bytes() for name in names for p in sorted(run_dir.glob(name))}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunDirectory]:
    yield run(config(), tmp_path_factory.mktemp("pipeline") / "run")


def test_every_stage_is_done(finished: RunDirectory) -> None:
    assert all(finished.is_done(stage) for stage in STAGES)


def test_each_exported_folder_is_complete_and_is_what_was_measured(finished: RunDirectory) -> None:
    members = read(finished.result("export"))["members"]
    assert 1 <= len(members) <= 3
    images = load_images(DataSettings("digits", limit=600))
    with Ledger(finished.ledger_url) as ledger:
        measured = {measurement.artifact_sha256 for measurement in ledger.measurements()}
    for name in members:
        folder = finished.path / "export" / name
        assert {path.name for path in folder.iterdir()} == FILES | {"card.json"}
        card = read(folder / "card.json")
        assert set(card["files"]) == FILES
        for file, row in card["files"].items():
            content = (folder / file).read_bytes()
            assert row["sha256"] == hashlib.sha256(content).hexdigest()
            assert row["bytes"] == len(content)
        for target, latency in card["latency"].items():
            assert card["files"][latency["file"]]["sha256"] in measured, target
            assert 0 < latency["median_s"] <= latency["p90_s"]
            assert latency["source"] == "simulated"
        assert card["class_names"] == list(images.class_names)
        assert all(0 <= row["value"] <= 1 and row["split"] == "test" for row in card["accuracy"].values())
        assert sum(array.size for array in load_file(folder / "weights.safetensors").values()) > 0
        assert card["macs"] > 0 < card["parameters"]


def test_the_confirmed_front_is_measured_and_beats_the_rest(finished: RunDirectory) -> None:
    confirmed = read(finished.result("confirm"))
    members = [Candidate.from_json(row) for row in confirmed["members"]]
    others = [Candidate.from_json(row) for row in confirmed["dominated"]]
    problem = finished.config.problem
    front = ParetoFront.of([*members, *others], problem)
    assert {member.arch.key for member in front} == {member.arch.key for member in members}
    for member in members:
        assert member.metrics["accuracy"].source == "evaluated"
        assert all(member.metrics[f"latency_s.{t.name}"].source == "measured" for t in finished.config.targets)


def test_no_image_is_trained_on_and_judged_with(finished: RunDirectory) -> None:
    split = {name: set(ids) for name, ids in read(finished.path / "split.json").items() if isinstance(ids, list)}
    assert not split["train"] & (split["validation"] | split["test"])
    assert not split["validation"] & split["test"]
    assert split["calibration"] <= split["train"]


def test_a_finished_run_is_not_run_again(finished: RunDirectory) -> None:
    before = {path: path.stat().st_mtime_ns for path in finished.path.rglob("*") if "report" not in path.parts}
    run(config(), finished.path)
    after = {path: path.stat().st_mtime_ns for path in finished.path.rglob("*") if "report" not in path.parts}
    ignored = {path for path in before.keys() ^ after.keys() if "sqlite" in path.name}
    assert {p: t for p, t in before.items() if p not in ignored} == {p: t for p, t in after.items() if p not in ignored}


def test_model_files_go_once_they_are_measured(finished: RunDirectory) -> None:
    assert list((finished.path / "profile" / "models").iterdir()) == []
    assert list((finished.path / "confirm" / "models").iterdir()) != []


def test_stage_by_stage_gives_the_same_as_all_at_once(finished: RunDirectory, tmp_path: Path) -> None:
    run_dir = tmp_path / "by-hand"
    RunDirectory.create(run_dir, config())
    for stage in STAGES[:-1]:
        run_stage(run_dir, stage)
    assert results(run_dir) == results(finished.path)


def test_an_exported_model_file_that_was_changed_is_made_again(finished: RunDirectory) -> None:
    name = read(finished.result("export"))["members"][0]
    folder = finished.path / "export" / name
    card = (folder / "card.json").read_bytes()
    key = read(folder / "card.json")["key"]
    (finished.path / "confirm" / "models" / key / "model.onnx").write_bytes(b"damaged")
    finished.result("export").unlink()
    (folder / "card.json").unlink()
    run_stage(finished.path, "export")
    assert (folder / "card.json").read_bytes() == card


def test_a_card_that_is_lost_is_made_again_by_its_stage(finished: RunDirectory) -> None:
    folder = finished.path / "export" / read(finished.result("export"))["members"][0]
    before = {path: path.read_bytes() for path in folder.iterdir()}
    shutil.rmtree(folder)
    assert not finished.is_done("export")
    run_stage(finished.path, "export")
    assert {path: path.read_bytes() for path in folder.iterdir()} == before and finished.is_done("export")


def test_a_report_can_be_asked_for_while_the_run_works(finished: RunDirectory) -> None:
    finished.result("report").unlink(missing_ok=True)
    with finished.locked():
        run_stage(finished.path, "report")
        with pytest.raises(BusyError):
            run_stage(finished.path, "export")
    assert finished.result("report").is_file()


def again(finished: RunDirectory, run_dir: Path, *dropped: str) -> Path:
    """A copy of a finished run without what some stages made."""
    shutil.copytree(finished.path, run_dir)
    for name in dropped:
        shutil.rmtree(run_dir / name)
    return run_dir


def test_a_limit_that_no_prediction_meets_is_told_before_the_search(finished: RunDirectory, tmp_path: Path) -> None:
    run_dir = again(finished, tmp_path / "run", "search", "confirm", "export")
    with pytest.raises(NasError, match=r"limits cannot be kept: latency_s.slow-chip at most .* but the fastest"):
        run(config("limits=[{metric: latency_s.slow-chip, at_most: 1.0e-6}]"), run_dir)
    assert not (run_dir / "search" / "front.json").exists()


def test_an_empty_confirmed_front_is_told_and_leaves_no_result(finished: RunDirectory, tmp_path: Path) -> None:
    run_dir = again(finished, tmp_path / "run", "confirm", "export")
    # What a config cannot ask for after the search: a limit that every predicted, but no measured latency meets.
    text = (run_dir / "config.yaml").read_text()
    limit = "limits:\n- {metric: latency_s.slow-chip, at_most: 1.0e-6}"
    (run_dir / "config.yaml").write_text(text.replace("limits: []", limit))
    with pytest.raises(NasError, match=r"confirmed front is empty: none of 3 networks .* the nearest"):
        run_stage(run_dir, "confirm")
    assert not (run_dir / "confirm" / "front.json").exists()


def test_a_predictor_that_fails_its_check_stops_the_run_or_is_replaced_by_measuring(
    finished: RunDirectory, tmp_path: Path
) -> None:
    strict = ("predictor={folds: 3, min_spearman: 1, max_mape: 1.0e-6}", "search.evaluations=10")
    run_dir = again(finished, tmp_path / "run", "predictors", "search", "confirm", "export")
    with pytest.raises(NasError, match="on_failure=measure"):
        run(config(*strict), run_dir)
    directory = run(config(*strict, "predictor.on_failure=measure"), run_dir)
    rows = [json.loads(line) for line in (run_dir / "search" / "candidates.jsonl").read_text().splitlines()]
    assert {row["metrics"]["latency_s.slow-chip"]["source"] for row in rows} == {"measured"}
    assert all(len(row["metrics"]["latency_s.slow-chip"]["interval"]) == 2 for row in rows)
    assert list((run_dir / "search" / "models").iterdir()) == []
    assert all(row["used"] is None for row in read(directory.result("fit"))["targets"].values())


def test_the_profile_spans_the_space_and_is_measured_in_mixed_order(finished: RunDirectory) -> None:
    plan = read(finished.path / "profile" / "plan.json")
    space = finished.config.make_space()
    keys = [row["key"] for row in plan["networks"]]
    assert len(set(keys)) == 6
    assert {space.canonical(arch).key for arch in (space.smallest(), space.largest())} <= set(keys)
    targets = [target.name for target in finished.config.targets]
    assert sorted(plan["order"]) == sorted([key, name] for key in keys for name in targets)
    assert plan["order"] != [[key, name] for key in keys for name in targets]


def test_a_failed_measurement_is_kept_and_too_many_stop_the_run(
    finished: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_dir = again(finished, tmp_path / "run", "profile", "predictors", "search", "confirm", "export")
    (run_dir / "ledger.sqlite").unlink()
    measure, calls = FakeDevice.measure, iter(range(1000))
    share = 2

    def failing(self: FakeDevice, artifact: Artifact, settings: MeasureSettings) -> Measurement:
        if next(calls) % 10 < share:
            return Measurement.failed(artifact, self.name, settings, "it fell off the table")
        return measure(self, artifact, settings)

    monkeypatch.setattr(FakeDevice, "measure", failing)
    run_stage(run_dir, "profile")
    rows = read(run_dir / "profile" / "measurements.json")["rows"]
    assert [row["median_s"] is None for row in rows] == [row["error"] is not None for row in rows]
    failed = {row["key"] for row in rows if row["error"] == "it fell off the table"}
    assert failed == {path.name for path in (run_dir / "profile" / "models").iterdir()} != set()

    share = 10
    shutil.rmtree(run_dir / "profile")
    (run_dir / "ledger.sqlite").unlink()
    with pytest.raises(NasError, match=r"6 of 6 measurements on target .* it fell off the table"):
        run_stage(run_dir, "profile")
    assert not (run_dir / "profile" / "measurements.json").exists()


def test_images_that_changed_are_refused(finished: RunDirectory, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    values = {"images": rng.integers(0, 256, (200, 8, 8, 3), np.uint8), "labels": np.arange(200) % 10}
    np.savez(tmp_path / "a.npz", **values)
    values["images"][0] += 1
    np.savez(tmp_path / "b.npz", **values)
    overrides = ["data={source: numpy}", "train={epochs: 1, batch_size: 50, crop_padding: 0}"]
    given = load_config(CONFIGS / "digits_fake.yaml", data=tmp_path / "a.npz", overrides=overrides)
    directory = RunDirectory.create(tmp_path / "run", given)
    run_stage(directory.path, "train")
    with pytest.raises(SupernetError, match="digest"):
        run_stage(directory.path, "profile", data=tmp_path / "b.npz")


def test_classes_that_do_not_fit_are_told(tmp_path: Path) -> None:
    with pytest.raises(NasError, match=r"space\.options\.classes to 10"):
        run(config("space.options.classes=7"), tmp_path / "run")
