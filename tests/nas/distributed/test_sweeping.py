"""Real sweeps on a real Ray: the same figures with one process and with two, after kills, beside trials that fail."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
import ray
import yaml

from nas.config import make_config
from nas.distributed.evaluation import evaluating
from nas.errors import NasError
from nas.pipeline import prepare, run_stage
from nas.progress import Silent
from nas.run_directory import RunDirectory
from nas.stages.context import Context
from nas.sweep import load_sweep, make_trials
from nas.sweep.box import Box
from nas.sweep.run import run_sweep
from nas.sweep.trial import Standing, run_trial

SPACE = {"widths": [0.5], "depths": [1, 2], "kernels": [3, 5], "expansions": [2, 3], "resolutions": [8]}
SWEEP = {
    "seeds": [0, 1],
    "strategies": {"nsga2": {}},
    "limits": {"none": [], "macs": [{"metric": "macs", "at_most": 4.2e5}]},
    "evaluations": 12,
}
TRIALS = 4

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),  # on a busy machine Ray takes minutes to begin its processes
    pytest.mark.skipif(os.name != "posix", reason="kills processes by signal"),
]

Row = Mapping[str, Any]


class Notes(Silent):
    """Keeps what a person would read."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.done = self.planned = 0

    def start(self, stage: str, total: int, unit: str, done: int = 0) -> None:
        self.planned, self.done = total, done

    def advance(self, steps: int = 1, detail: str = "") -> None:
        self.done += steps

    def note(self, message: str) -> None:
        self.lines.append(message)

    def warn(self, message: str) -> None:
        self.lines.append(message)


@pytest.fixture(scope="module", autouse=True)
def address() -> Iterator[str]:
    """Address of one cluster for all, with two processors even where there are fewer."""
    context = ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield context.address_info["gcs_address"]
    ray.shutdown()


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose predictors are fitted."""
    path = tmp_path_factory.mktemp("runs") / "run"
    config = make_config(
        {
            "threads": 1,
            "space": {"name": "mobilenetv3_32", "options": SPACE},
            "data": {"source": "digits", "size": 8, "limit": 200},
            "split": {"validation": 0.4, "test": 0.2, "calibration": 32},
            "train": {"epochs": 1, "batch_size": 40, "random_subnets": 0},
            "targets": [{"name": "chip", "device": "fake", "precision": "float32"}],
            "profile": {"networks": 8},
            "predictor": {"folds": 2, "names": ["boosting"], "min_spearman": -1, "max_mape": 100},
            "search": {"options": {"population": 4}, "evaluations": 12, "batch": 4},
        }
    )
    prepare(config, path)
    for stage in ("train", "profile", "fit"):
        run_stage(path, stage)
    return path


@pytest.fixture
def run(fitted: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(fitted, tmp_path / "run"))


def write(path: Path, **changes: object) -> Path:
    path.write_text(yaml.safe_dump({**SWEEP, **changes}, sort_keys=False))
    return path


def found(rows: Sequence[Row]) -> list[Row]:
    """Rows without what no two runs share."""
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


@pytest.fixture(scope="module")
def undisturbed(fitted: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    path = Path(shutil.copytree(fitted, folder / "run"))
    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    notes = Notes()
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        run_sweep(path, write(folder / "sweep.yaml"), parallel=1, progress=notes)
    assert said.getvalue() == ""
    after = {file: file.read_bytes() for file in path.rglob("*") if file.is_file() and "sweep" not in file.parts}
    assert after == before, "the run's own files were changed"
    assert (notes.done, notes.planned, notes.lines) == (12 * TRIALS, 12 * TRIALS, [])
    return path


def results(path: Path) -> Any:
    return json.loads((path / "sweep" / "results.json").read_text())


def test_every_trial_has_a_row_and_every_kind_its_mean(undisturbed: Path) -> None:
    told = results(undisturbed)
    assert len(told["trials"]) == TRIALS
    for row in told["trials"]:
        assert row["error"] is None and row["evaluations"] == 12 and row["seconds"] > 0
        assert 0 < row["hypervolume"] < 1 and row["front"] >= 1
        assert row["best_accuracy"][row["limits"]] is not None
    kinds = [(row["strategy"], row["limits"], row["trials"], row["failed"]) for row in told["summary"]]
    assert kinds == [("nsga2", limits, 2, 0) for limits in ("none", "macs")]
    first = told["summary"][0]["hypervolume"]
    pair = [row["hypervolume"] for row in told["trials"][:2]]
    assert first["mean"] == pytest.approx(sum(pair) / 2) and (first["min"], first["max"]) == (min(pair), max(pair))
    with (undisturbed / "sweep" / "results.csv").open(newline="") as stream:
        table = list(csv.DictReader(stream))
    assert [float(row["hypervolume"]) for row in table] == [row["hypervolume"] for row in told["trials"]]
    assert "best_accuracy.macs" in table[0]
    # Nothing of Ray's is left, and no two trials of one kind are the same search.
    left = {entry.name for entry in (undisturbed / "sweep").iterdir()}
    assert left == {"trials", "results.json", "results.csv"}
    assert len({row["trial"] for row in told["trials"]}) == TRIALS
    assert pair[0] != pair[1] or told["trials"][0]["best_accuracy"] != told["trials"][1]["best_accuracy"]


def test_limits_are_kept_and_accuracies_are_the_runs_own(undisturbed: Path) -> None:
    accuracies: dict[str, float] = {}
    for row in results(undisturbed)["trials"]:
        lines = (undisturbed / "sweep" / "trials" / row["trial"] / "candidates.jsonl").read_text().splitlines()
        for candidate in map(json.loads, lines):
            metrics = candidate["metrics"]
            if row["limits"] == "macs" and metrics["macs"]["value"] > 4.2e5:
                assert "accuracy" not in metrics
            else:
                value = metrics["accuracy"]["value"]
                assert accuracies.setdefault(candidate["key"], value) == value


def test_two_at_once_find_what_one_after_the_other_find(undisturbed: Path, run: Path, tmp_path: Path) -> None:
    run_sweep(run, write(tmp_path / "sweep.yaml"), parallel=2)
    assert found(results(run)["trials"]) == found(results(undisturbed)["trials"])


def test_a_sweep_that_is_stopped_and_killed_goes_on_and_repeats_nothing(
    undisturbed: Path, run: Path, tmp_path: Path, address: str
) -> None:
    sweep = write(tmp_path / "sweep.yaml")
    code, told = stopped(run, sweep, address, signal.SIGINT, finished=1)
    assert code == 130, told
    assert f"`nas sweep {run} {sweep} --parallel 1` goes on from here" in told and "Traceback" not in told
    code, _ = stopped(run, sweep, address, signal.SIGKILL, finished=2)
    assert code == -signal.SIGKILL
    finished = done(run)
    assert 2 <= len(finished) < TRIALS
    before = {path: path.stat().st_mtime_ns for path in finished}
    notes = Notes()
    run_sweep(run, sweep, parallel=1, progress=notes)
    assert {path: path.stat().st_mtime_ns for path in finished} == before
    assert any(f"of {TRIALS} trials were done before" in line for line in notes.lines)
    assert found(results(run)["trials"]) == found(results(undisturbed)["trials"])


def stopped(run: Path, sweep: Path, address: str, by: signal.Signals, *, finished: int) -> tuple[int, str]:
    """A sweep in a process of its own that gets a signal when so many trials are done; exit code and what it said."""
    words = [sys.executable, "-c", "from nas.cli import main; main()", "sweep", str(run), str(sweep)]
    words += ["--parallel", "1"]
    environment = {**os.environ, "RAY_ADDRESS": address}
    with subprocess.Popen(words, env=environment, stderr=subprocess.PIPE, text=True) as process:
        wait(lambda: len(done(run)) >= finished or process.poll() is not None)
        process.send_signal(by)
        _, told = process.communicate(timeout=300)
    return process.returncode, told


def test_a_trial_whose_process_dies_goes_on_in_another_and_finds_what_is_found_here(
    run: Path, fitted: Path, tmp_path: Path, kill_process: Callable[[str], bool]
) -> None:
    path, notes = write(tmp_path / "sweep.yaml", seeds=[5], strategies={"a": {}}, limits={}, evaluations=120), Notes()

    def kill() -> None:
        wait(lambda: any(standing["evaluations"] for standing in standings(run)))
        assert kill_process("ImplicitFunc")

    killer = threading.Thread(target=kill)
    killer.start()
    (told,) = run_sweep(run, path, progress=notes).trials
    killer.join()
    assert [line for line in notes.lines if "was lost; another one goes on" in line]
    assert (notes.done, notes.planned) == (120, 120)
    alone = RunDirectory(Path(shutil.copytree(fitted, tmp_path / "alone")))
    context = Context(alone, Silent())
    (trial,) = make_trials(context, load_sweep(path), "sweep.yaml")
    box = Box(**results(run)["box"])
    stands: list[Standing] = []
    with evaluating(context) as accuracies:
        run_trial(alone, trial, box, accuracies, stands.append)
    assert stands[-1].done and stands[-1].hypervolume == told["hypervolume"]
    rows = Path("sweep") / "trials" / trial.key / "candidates.jsonl"
    assert (alone.path / rows).read_bytes() == (run / rows).read_bytes()


def test_a_trial_that_fails_is_a_row_with_its_reason(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = {"none": [], "impossible": [{"metric": "macs", "at_most": 10}]}
    notes = Notes()
    sweep = write(tmp_path / "sweep.yaml", seeds=[0], strategies={"chance": {"strategy": "random"}}, limits=limits)
    told = run_sweep(run, sweep, parallel=1, progress=notes)
    good, bad = told.trials
    assert good["error"] is None and good["evaluations"] == 12
    assert "macs at most" in bad["error"] and bad["evaluations"] == 0
    assert bad["best_accuracy"] == {"none": None, "impossible": None}
    assert [(row["trials"], row["failed"], row["best_accuracy"] is None) for row in told.summary] == [
        (1, 0, False),
        (0, 1, True),
    ]
    assert any("chance, impossible, seed 0 failed" in line for line in notes.lines)
    monkeypatch.setattr("nas.sweep.run.run_trials", lambda _context, _trials, _box, _parallel: {bad["trial"]: "bad"})
    only = write(
        tmp_path / "sweep.yaml", seeds=[0], strategies={"a": {"strategy": "random"}}, limits={"b": limits["impossible"]}
    )
    with pytest.raises(NasError, match="every trial failed, the first with: bad"):
        run_sweep(run, only)


def test_a_cluster_too_small_is_told_at_once(run: Path, tmp_path: Path) -> None:
    with pytest.raises(NasError, match="9 trials at once need 1 CPU each, and the Ray cluster has 2 in all; lower --p"):
        run_sweep(run, write(tmp_path / "sweep.yaml"), parallel=9)


def done(run: Path) -> list[Path]:
    """Records of the trials that are done."""
    records = list((run / "sweep" / "trials").glob("*/trial.json"))
    return [path for path in records if json.loads(path.read_text())["standing"]["done"]]


def standings(run: Path) -> list[Row]:
    records = (run / "sweep" / "trials").glob("*/trial.json")
    return [json.loads(path.read_text())["standing"] for path in records]


def wait(for_what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 600
    while not for_what():
        assert time.monotonic() < deadline
        time.sleep(0.05)
