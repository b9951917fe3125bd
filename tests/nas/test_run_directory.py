"""The run directory: made once, opened again, never another run's."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nas.config import Config, make_config
from nas.errors import BusyError, NasError
from nas.ledger import Ledger
from nas.lock import exclusive
from nas.run_directory import STAGES, RunDirectory, default_run_directory
from nas.search.study_lock import hold


def config(**changes: Any) -> Config:
    return make_config(
        {
            "space": {"name": "mobilenetv3_32"},
            "data": {"source": "digits"},
            "targets": [{"name": "chip", "device": "fake"}],
            **changes,
        }
    )


def test_the_same_config_opens_the_run_again(tmp_path: Path) -> None:
    made = RunDirectory.create(tmp_path / "run", config())
    assert RunDirectory.create(tmp_path / "run", config()).config == made.config
    assert RunDirectory(tmp_path / "run").config == config()


def test_a_change_is_refused_where_results_depend_on_it(tmp_path: Path) -> None:
    RunDirectory.create(tmp_path / "run", config())
    (tmp_path / "run" / "train").mkdir()
    before = (tmp_path / "run" / "config.yaml").read_bytes()
    with pytest.raises(NasError) as caught:
        RunDirectory.create(tmp_path / "run", config(seed=3, train={"epochs": 7}))
    assert "seed is 0 in the run, 3 was given" in str(caught.value)
    assert "train.epochs is 20 in the run, 7 was given" in str(caught.value)
    assert "--run-dir" in str(caught.value)
    assert f"deleting {tmp_path / 'run' / 'train'}" in str(caught.value)
    assert (tmp_path / "run" / "config.yaml").read_bytes() == before


def test_a_change_inside_a_list_is_told_key_by_key(tmp_path: Path) -> None:
    RunDirectory.create(tmp_path / "run", config())
    (tmp_path / "run" / "profile").mkdir()
    targets = [{"name": "chip", "device": "fake", "threads": 2}, {"name": "new", "device": "fake"}]
    objectives = [{"metric": "latency_s.chip", "direction": "minimize"}]
    with pytest.raises(NasError) as caught:
        RunDirectory.create(tmp_path / "run", config(targets=targets, objectives=objectives))
    lines = str(caught.value).splitlines()
    assert "  - targets.0.threads is left out in the run, 2 was given" in lines
    assert any(line.startswith('  - targets.1 is left out in the run, {"name": "new", ') for line in lines)
    assert "  - objectives.0.metric is 'accuracy' in the run, 'latency_s.chip' was given" in lines
    assert any(line.startswith("  - objectives.1 is ") and line.endswith("it was left out") for line in lines)


def test_what_decides_on_later_stages_only_may_change(tmp_path: Path) -> None:
    RunDirectory.create(tmp_path / "run", config())
    for folder in ("train", "profile"):
        (tmp_path / "run" / folder).mkdir()
    changed = config(predictor={"on_failure": "measure"})
    assert RunDirectory.create(tmp_path / "run", changed).config == changed
    assert RunDirectory(tmp_path / "run").config == changed
    with pytest.raises(NasError, match="profile"):
        RunDirectory.create(tmp_path / "run", config(profile={"networks": 9}))


def test_who_shares_the_work_may_change_at_any_time(tmp_path: Path) -> None:
    RunDirectory.create(tmp_path / "run", config())
    for folder in ("train", "profile", "search", "confirm", "export"):
        (tmp_path / "run" / folder).mkdir()
    changed = config(evaluators=2, pools=[{"device": "fake", "units": [{"name": "a"}, {"name": "b"}]}])
    RunDirectory.create(tmp_path / "run", changed)
    assert RunDirectory(tmp_path / "run").config == changed


def test_threads_that_nobody_asked_for_are_those_that_the_run_began_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = RunDirectory.create(tmp_path / "run", config()).config.threads
    (tmp_path / "run" / "train").mkdir()
    monkeypatch.setattr(Config.model_fields["threads"], "default_factory", lambda: began + 1)
    Config.model_rebuild(force=True)
    try:
        assert config().threads == began + 1
        assert RunDirectory.create(tmp_path / "run", config()).config.threads == began
        with pytest.raises(NasError, match=f"threads is {began} in the run, {began + 1} was given"):
            RunDirectory.create(tmp_path / "run", config(threads=began + 1))
    finally:
        monkeypatch.undo()
        Config.model_rebuild(force=True)


def test_a_slip_that_nothing_was_trained_with_may_be_corrected(tmp_path: Path) -> None:
    RunDirectory.create(tmp_path / "run", config(train={"batch_size": 100_000}))
    for name in ("split.json", "preprocessing.json"):
        (tmp_path / "run" / name).write_text("{}")
    corrected = config(train={"batch_size": 50})
    assert RunDirectory.create(tmp_path / "run", corrected).config == corrected
    assert not (tmp_path / "run" / "split.json").exists()
    assert not (tmp_path / "run" / "preprocessing.json").exists()


def test_images_may_move(tmp_path: Path) -> None:
    there = {"source": "folder", "path": str(tmp_path / "there")}
    RunDirectory.create(tmp_path / "run", config(data={"source": "folder", "path": "here"}))
    moved = RunDirectory.create(tmp_path / "run", config(data=there))
    assert moved.config.data.path == tmp_path / "there"
    assert RunDirectory(tmp_path / "run").config.data.path == Path("here")


def test_measurements_go_to_the_database_that_the_config_names(tmp_path: Path) -> None:
    assert (
        str(RunDirectory.create(tmp_path / "own", config()).ledger_url)
        == f"sqlite:///{tmp_path / 'own' / 'ledger.sqlite'}"
    )
    shared = f"sqlite:///{tmp_path / 'shared.sqlite'}"
    assert RunDirectory.create(tmp_path / "own", config(ledger=shared)).ledger_url == shared


def test_a_directory_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(NasError, match="no run directory"):
        RunDirectory.create(tmp_path, config())
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_what_is_no_run_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NasError, match="nas init"):
        RunDirectory(tmp_path)


NEEDED = {
    "train": ["train/weights.safetensors"],
    "fit": ["predictors/chip/predictor.json", "predictors/chip/predictor.safetensors"],
}
"""What later stages read beside a stage's result."""


def test_a_stage_is_done_when_its_result_is_there(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path / "run", config())
    for stage in STAGES:
        assert not run.is_done(stage)
        with pytest.raises(NasError, match=f"run `nas {stage} "):
            run.require(stage, needed_by="later")
        run.result(stage).parent.mkdir(parents=True, exist_ok=True)
        run.result(stage).write_text('{"members": []}' if stage == "export" else "{}")
        for name in NEEDED.get(stage, ()):
            assert not run.is_done(stage)
            (tmp_path / "run" / name).parent.mkdir(exist_ok=True)
            (tmp_path / "run" / name).write_text("{}")
        assert run.is_done(stage)
        run.require(stage, needed_by="later")


def test_one_process_at_a_time(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path / "run", config())
    program = (
        "import sys; from pathlib import Path; from nas.lock import exclusive\n"
        "with exclusive(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "run" / ".lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(NasError, match="another process"), run.locked():
            pass
        other.kill()
        other.wait()
    with run.locked():
        pass


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP])
def test_a_file_system_without_locks_is_told_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def take(_descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("nas.lock._take", take)
    told = r"\.lock cannot be locked .* on a file system with locks"
    with pytest.raises(NasError, match=told) as caught, exclusive(tmp_path / ".lock", patience_s=1e9):
        pass
    assert not isinstance(caught.value, BusyError)
    with pytest.raises(NasError, match="cannot be locked"):
        hold(f"journal:{tmp_path / 'study.log'}", "a study")


def test_the_default_place_is_named_after_the_config() -> None:
    assert default_run_directory(Path("configs/digits.yaml")) == Path("runs/digits")


def test_the_ledger_lies_in_the_directory_whatever_its_name(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path / "what? 100% of #1 [é]", config())
    with Ledger(run.ledger_url) as ledger:
        assert ledger.measurements() == []
    assert (run.path / "ledger.sqlite").is_file()
    assert list(tmp_path.iterdir()) == [run.path]
