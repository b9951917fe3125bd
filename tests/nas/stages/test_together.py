"""Real processes that search on one study together, each in a run directory of its own."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from nas import NasError, load_config, run_stage
from nas.candidate import Candidate
from nas.config import Config
from nas.pipeline import prepare
from nas.run_directory import RunDirectory
from nas.search.optuna_shared import CANDIDATE, WORKER
from nas.search.study_lock import open_storage
from nas.stages.history import History
from supernet import weights_digest

FAKE = Path(__file__).parents[3] / "experiments" / "configs" / "digits_fake.yaml"
BATCH, EVALUATIONS = 3, 11

PROGRAM = """
import sys
from pathlib import Path
from nas.evaluate import CompositeEvaluator
from nas.pipeline import run_stage

evaluate = CompositeEvaluator.evaluate

def when_told(self, archs, *rest):
    print(len(archs), flush=True)
    sys.stdin.readline()
    return evaluate(self, archs, *rest)

CompositeEvaluator.evaluate = when_told
run_stage(Path(sys.argv[1]), "search")
"""
"""Searches, and waits for a line before each batch, or for the end of the lines."""


def config(storage: str | None, *overrides: str) -> Config:
    small = ["train.epochs=1", "profile.networks=6", "predictor={folds: 3, min_spearman: -1, max_mape: 9}"]
    sampler = "sampler: nsgaii, sampler_options: {population_size: 4}"
    options = f"{{{sampler}, shared: true, study: s, storage: '{storage}'}}" if storage else f"{{{sampler}}}"
    search = ["search.strategy=optuna", f"search.evaluations={EVALUATIONS}", f"search.batch={BATCH}"]
    return load_config(FAKE, overrides=[*small, *search, f"search.options={options}", *overrides])


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory in which all is done that comes before the search."""
    path = tmp_path_factory.mktemp("together") / "run"
    prepare(config(None), path)
    for stage in ("train", "profile", "fit"):
        run_stage(path, stage)
    return path


@pytest.fixture
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(request.param).format(tmp_path / "study")


def copy_of(run: Path, to: Path, config: Config) -> RunDirectory:
    shutil.copytree(run, to)
    return RunDirectory.create(to, config)


@contextmanager
def searching(run: RunDirectory) -> Iterator[subprocess.Popen[str]]:
    """A process that searches, ended with the block at the latest."""
    words = [sys.executable, "-c", PROGRAM, str(run.path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def begin(process: subprocess.Popen[str]) -> None:
    """Wait until a process has been given its first batch."""
    assert process.stdout is not None and process.stderr is not None
    assert process.stdout.readline().strip() == str(BATCH), process.stderr.read()


def finish(*processes: subprocess.Popen[str]) -> int:
    """Let processes go on to their end; how many they judged after their first batches."""
    for process in processes:
        assert process.stdin is not None
        process.stdin.close()
        process.stdin = None
    judged = 0
    for process in processes:
        stdout, stderr = process.communicate()
        assert process.returncode == 0, stderr
        judged += sum(map(int, stdout.split()))
    return judged


def trials_of(storage: str) -> list[optuna.trial.FrozenTrial]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return optuna.load_study(study_name="s", storage=open_storage(storage)).trials


def kept_by(run: RunDirectory) -> dict[str, Candidate]:
    judged = History(run.path / "search").judged()
    found = {candidate.arch.key: candidate for candidate in judged}
    assert len(found) == len(judged)
    return found


def front_of(run: RunDirectory) -> list[str]:
    members: list[dict[str, Any]] = json.loads(run.result("search").read_text())["members"]
    return sorted(member["key"] for member in members)


def check_consistent(storage: str, *runs: RunDirectory) -> Counter[str]:
    """The storage and every run directory hold the same candidates, each once; how many each worker told."""
    trials = trials_of(storage)
    assert all(trial.state == TrialState.COMPLETE for trial in trials)
    told = [trial for trial in trials if CANDIDATE in trial.user_attrs]
    stored = {trial.user_attrs[CANDIDATE]["key"]: trial for trial in told}
    assert len(stored) == len(told) == EVALUATIONS
    for run in runs:
        kept = kept_by(run)
        assert {key: Candidate.from_json(trial.user_attrs[CANDIDATE]) for key, trial in stored.items()} == kept
        assert front_of(run) == front_of(runs[0])
    return Counter(str(trial.user_attrs[WORKER]) for trial in told)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("storage", ["journal:{}.log"], indirect=True)  # on SQLite they do in the next test
def test_two_processes_search_on_one_study(fitted: Path, storage: str, tmp_path: Path) -> None:
    runs = [copy_of(fitted, tmp_path / name, config(storage)) for name in ("a", "b")]
    with searching(runs[0]) as first, searching(runs[1]) as second:
        begin(first)
        begin(second)  # both are at work now
        assert finish(first, second) == EVALUATIONS - 2 * BATCH
    by_worker = check_consistent(storage, *runs)
    assert len(by_worker) == 2 and min(by_worker.values()) >= BATCH


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("storage", "restarted"),
    [
        ("sqlite:///{}.sqlite", "beside the other"),
        ("journal:{}.log", "when the other is done"),
    ],
    indirect=["storage"],
)
def test_a_killed_process_loses_nothing(fitted: Path, storage: str, restarted: str, tmp_path: Path) -> None:
    runs = [copy_of(fitted, tmp_path / name, config(storage)) for name in ("a", "b")]
    with searching(runs[0]) as living, searching(runs[1]) as killed:
        begin(killed)
        begin(living)
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        assert len([trial for trial in trials_of(storage) if trial.state == TrialState.RUNNING]) >= 2 * BATCH
        if restarted == "when the other is done":
            assert finish(living) == EVALUATIONS - BATCH
            check_consistent(storage, runs[0])
        with searching(runs[1]) as again:
            if restarted == "beside the other":
                begin(again)
                assert finish(living, again) == EVALUATIONS - 2 * BATCH
            else:
                assert finish(again) == 0
    assert len(check_consistent(storage, *runs)) == (2 if restarted == "beside the other" else 1)


@pytest.mark.timeout(600)
def test_other_weights_or_settings_are_refused(fitted: Path, tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path / 'study.sqlite'}"
    run_stage(copy_of(fitted, tmp_path / "a", config(storage)).path, "search")
    check_consistent(storage, RunDirectory(tmp_path / "a"))
    refused = r"'s' in this storage belongs to another search .* its results come from other weights, predictors"
    copy_of(fitted, tmp_path / "settings", config(storage, "search.validation_images=20"))
    with pytest.raises(NasError, match=refused):
        run_stage(tmp_path / "settings", "search")
    train = copy_of(fitted, tmp_path / "weights", config(storage)).path / "train"
    weights = train / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\0")
    result = json.loads((train / "result.json").read_text())
    (train / "result.json").write_text(json.dumps({**result, "weights_sha256": weights_digest(train)}))
    with pytest.raises(NasError, match=refused):
        run_stage(tmp_path / "weights", "search")


def test_candidates_that_must_be_measured_are_not_shared(fitted: Path, tmp_path: Path) -> None:
    run = copy_of(fitted, tmp_path / "a", config(f"sqlite:///{tmp_path / 'study.sqlite'}"))
    scores = json.loads(run.result("fit").read_text())
    scores["targets"]["slow-chip"]["passed"] = False
    run.result("fit").write_text(json.dumps(scores))
    with pytest.raises(NasError, match="processes that measure every candidate would disturb one another"):
        run_stage(run.path, "search")
