"""Where measurements contradict predictions, the run corrects itself; killed anywhere, to the same result."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devices import Artifact, FakeDevice, Measurement, MeasureSettings
from nas import load_config, run_stage
from nas.candidate import Candidate
from nas.config import Config
from nas.errors import NasError, UnreachableError
from nas.files import read_json
from nas.pareto import ParetoFront
from nas.pipeline import prepare
from nas.progress import Silent
from nas.run_directory import RunDirectory
from nas.stages import correcting

CONFIGS = Path(__file__).parents[3] / "experiments" / "configs"
SLOWER = 1.6


def config(*overrides: str) -> Config:
    small = [
        "train.epochs=1",
        "profile.networks=8",
        "predictor={names: [cost_model, block_table], folds: 4}",
        "search.evaluations=20",
        "confirm={members: 2, evaluations: 10, rounds: 2}",
    ]
    return load_config(CONFIGS / "digits_fake.yaml", overrides=[*small, *overrides])


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A run whose search is done."""
    run_dir = prepare(config(), tmp_path_factory.mktemp("correcting") / "run").path
    for stage in ("train", "profile", "fit", "search"):
        run_stage(run_dir, stage)
    yield run_dir


def slow_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make devices slower for files that are shipped than they were for those of the profile."""
    expected_s = FakeDevice.expected_s

    def slower(self: FakeDevice, artifact: Artifact, settings: MeasureSettings) -> float:
        return expected_s(self, artifact, settings) * (SLOWER if "confirm" in artifact.path.parts else 1)

    monkeypatch.setattr(FakeDevice, "expected_s", slower)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    slow_down(monkeypatch)


def copy(searched: Path, folder: Path, *overrides: str) -> Path:
    """The run, with values of the config that decide on nothing yet; nothing measured before is remembered."""
    run_dir = Path(shutil.copytree(searched, folder / "run"))
    (run_dir / "ledger.sqlite").unlink()
    RunDirectory.create(run_dir, config(*overrides))
    return run_dir


def rounds(run_dir: Path) -> list[Any]:
    return [read_json(path) for path in sorted(run_dir.glob("confirm/rounds/*/round.json"))]


def results(run_dir: Path) -> dict[str, bytes]:
    """Every file that must be the same however often the run was killed."""
    names = ("confirm/front.json", "confirm/rounds/*/*.json*", "confirm/members/*", "confirm/rounds/*/predictors/*/*")
    return {str(p.relative_to(run_dir)): p.read_bytes() for name in names for p in sorted(run_dir.glob(name))}


def limit(run_dir: Path, at_most: float) -> None:
    """Limit the latency on the first target, which a config cannot ask for after the search."""
    path = run_dir / "config.yaml"
    line = f"limits:\n- {{metric: latency_s.slow-chip, at_most: {at_most}}}"
    path.write_text(path.read_text().replace("limits: []", line))


def promised(run_dir: Path) -> list[float]:
    """Latencies on the first target that the searched front promises."""
    front = ParetoFront.from_json(read_json(run_dir / "search" / "front.json"))
    return [member.value("latency_s.slow-chip") for member in front]


@pytest.fixture(scope="module")
def corrected(searched: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was misled, confirmed in one go."""
    run_dir = copy(searched, tmp_path_factory.mktemp("corrected"))
    with pytest.MonkeyPatch.context() as monkeypatch:
        slow_down(monkeypatch)
        run_stage(run_dir, "confirm")
    return run_dir


def test_a_run_whose_predictions_hold_costs_nothing_extra(searched: Path, tmp_path: Path) -> None:
    run_dir = copy(searched, tmp_path)
    run_stage(run_dir, "confirm")
    (only,) = rounds(run_dir)
    assert only["contradicted"] == [] and only["refitted"] == {} and only["judged"] == 0
    assert len(only["compared"]) == 2 * len(only["members"])
    assert all(row["low_s"] < row["predicted_s"] < row["high_s"] and row["within"] for row in only["compared"])
    result = read_json(run_dir / "confirm" / "front.json")
    assert result["rounds"] == 1 and "do not contradict" in result["stopped"]
    assert len(result["members"]) + len(result["dominated"]) == 2


def test_contradicted_predictors_learn_and_the_search_goes_on(corrected: Path) -> None:
    first, second, *_ = rounds(corrected)
    assert len([line for line in first["contradicted"] if "2 of 2 networks are outside" in line]) == 2
    assert second["judged"] == 10
    for fitted in second["refitted"].values():
        assert fitted["networks"] in (8, 9, 10)
        assert fitted["error_before"] == pytest.approx(1 - 1 / SLOWER, abs=0.1)
        assert fitted["error_after"] >= 0
    found = [json.loads(line) for line in (corrected / "confirm/rounds/2/candidates.jsonl").read_text().splitlines()]
    known = (corrected / "search" / "candidates.jsonl").read_text()
    assert len(found) == 10 and not any(row["key"] in known for row in found)
    assert set(second["members"]).isdisjoint(first["members"]) and 1 <= len(second["members"]) <= 2


def test_what_is_confirmed_was_measured_and_nothing_measured_beats_it(corrected: Path) -> None:
    result = read_json(corrected / "confirm" / "front.json")
    problem = RunDirectory(corrected).config.problem
    rows = [*result["members"], *result["dominated"]]
    assert {row["key"] for row in rows} == {key for one in rounds(corrected) for key in one["members"]}
    front = ParetoFront.of([Candidate.from_json(row) for row in rows], problem)
    assert [member.arch.key for member in front] == [row["key"] for row in result["members"]]
    assert all(row["metrics"]["latency_s.slow-chip"]["source"] == "measured" for row in rows)
    assert result["rounds"] == len(rounds(corrected)) <= 3
    entered = [key for one in rounds(corrected) for key in one["entered"]]
    assert {row["key"] for row in result["members"]} <= set(entered)


class Killer(Silent):
    """Ends the process, as far as the stage can tell, after some steps."""

    def __init__(self, steps: int) -> None:
        self._left = steps

    def advance(self, steps: int = 1, detail: str = "") -> None:
        self._left -= 1
        if self._left < 0:
            raise KeyboardInterrupt

    def start(self, stage: str, total: int, unit: str, done: int = 0) -> None:
        self.advance()


@pytest.mark.usefixtures("slow")
def test_killed_again_and_again_it_comes_out_the_same_and_measures_nothing_twice(
    searched: Path, corrected: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: Counter[tuple[str, str, str]] = Counter()
    measure = FakeDevice.measure

    def counted(self: FakeDevice, artifact: Artifact, settings: MeasureSettings) -> Measurement:
        begun[artifact.sha256, self.info().key, settings.key] += 1
        return measure(self, artifact, settings)

    monkeypatch.setattr(FakeDevice, "measure", counted)
    run_dir = copy(searched, tmp_path)
    kills = 0
    for steps in range(2, 80, 9):
        try:
            run_stage(run_dir, "confirm", progress=Killer(steps))
        except KeyboardInterrupt:
            kills += 1
    assert kills >= 4
    run_stage(run_dir, "confirm")
    assert results(run_dir) == results(corrected)
    assert set(begun.values()) == {1}


PROGRAM = """
import sys
from pathlib import Path
from devices import FakeDevice
from nas import run_stage

expected_s = FakeDevice.expected_s
FakeDevice.expected_s = lambda self, artifact, settings: expected_s(self, artifact, settings) * (
    float(sys.argv[2]) if "confirm" in artifact.path.parts else 1
)
run_stage(Path(sys.argv[1]), "confirm")
"""
"""What ``slow_down`` does, in a process of its own."""


@pytest.mark.slow
def test_a_process_killed_with_signal_9_goes_on_to_the_same_result(
    searched: Path, corrected: Path, tmp_path: Path
) -> None:
    run_dir = copy(searched, tmp_path)
    for seen in ("rounds/2/state.json", "front.json"):
        with subprocess.Popen([sys.executable, "-c", PROGRAM, str(run_dir), str(SLOWER)]) as process:
            while process.poll() is None and not list(run_dir.glob(f"confirm/{seen}")):
                time.sleep(0.01)
            if seen != "front.json":
                process.kill()
        assert process.returncode == (0 if seen == "front.json" else -signal.SIGKILL)
    assert results(run_dir) == results(corrected)


@pytest.mark.usefixtures("slow")
def test_a_limit_that_was_promised_and_is_broken_as_measured_is_kept_in_the_end(searched: Path, tmp_path: Path) -> None:
    run_dir, most = copy(searched, tmp_path, "confirm.rounds=1"), 1.01 * max(promised(searched))
    limit(run_dir, most)
    run_stage(run_dir, "confirm")
    first, *_ = rounds(run_dir)
    assert [why for why in first["broken"].values() if "latency_s.slow-chip at most" in why]
    result = read_json(run_dir / "confirm" / "front.json")
    assert first["broken"].keys() <= {row["key"] for row in result["dropped"]}
    for row in result["members"]:
        assert row["metrics"]["latency_s.slow-chip"]["value"] <= most


@pytest.mark.usefixtures("slow")
def test_correcting_can_be_turned_off(searched: Path, tmp_path: Path) -> None:
    run_dir = copy(searched, tmp_path, "confirm.rounds=0")
    run_stage(run_dir, "confirm")
    (only,) = rounds(run_dir)
    assert only["contradicted"]
    assert read_json(run_dir / "confirm" / "front.json")["stopped"] == "correcting is off"


@pytest.mark.usefixtures("slow")
def test_limits_found_to_be_out_of_reach_are_explained(
    searched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_dir = copy(searched, tmp_path, "confirm.members=1")
    limit(run_dir, 1.01 * max(promised(searched)))

    def unreachable(*_: object, **__: object) -> None:
        raise UnreachableError("the fastest network of this space is predicted at 14.1 ms")

    monkeypatch.setattr(correcting, "starting_points", unreachable)
    with pytest.raises(NasError, match=r"confirmed front is empty: none of 1 networks .* predicted at 14\.1 ms"):
        run_stage(run_dir, "confirm")
    assert not (run_dir / "confirm" / "front.json").exists()
    assert len(rounds(run_dir)) == 1
