"""The command line: what it lists, and that every kind of bad input is one message, exit code 2 and no change."""

from __future__ import annotations

import errno
import io
import os
import re
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import typer
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner

from nas.cli.app import app
from nas.cli.errors import reported
from nas.cli.progress import ConsoleProgress
from nas.errors import NasError
from nas.files import write_bytes, write_json
from nas.run_directory import STAGES, RunDirectory
from supernet import TrainProgress
from supernet.status import write_status

CONFIGS = Path(__file__).parents[2] / "experiments" / "configs"
FAKE = str(CONFIGS / "digits_fake.yaml")


def invoke(*words: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(word) for word in words])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def refused(*words: object) -> str:
    """The message of a command that must fail."""
    code, _, stderr = invoke(*words)
    assert code == 2
    assert stderr.count("error: ") == 1
    assert "Traceback" not in stderr
    return stderr


def test_help_lists_every_stage() -> None:
    code, stdout, _ = invoke("--help")
    assert code == 0
    for verb in (*STAGES, "run", "init", "status", "spaces", "devices", "sweep"):
        assert verb in stdout


def test_help_does_not_load_what_takes_long() -> None:
    program = (
        "import sys; sys.argv = ['nas', '--version']\nfrom nas.cli import main\ntry: main()\nexcept SystemExit: pass\n"
    )
    heavy = "print([name for name in ('torch', 'onnx', 'sklearn', 'pydantic') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program + heavy], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[0].startswith("hwnas ")
    assert done.stdout.split("\n")[1] == "[]"


def test_spaces_and_devices_are_listed() -> None:
    listed = invoke("spaces")[1]
    assert "mobilenetv3_32" in listed
    assert "proxylessnas_mobile" in listed
    assert "fake" in invoke("devices", "list")[1]
    code, stdout, _ = invoke("devices", "check")
    assert code == 0
    assert "yes" in stdout
    # A runtime is there that lacks what a device needs of it; the sentence below the table says what.
    assert "missing" not in stdout
    assert "agent: see below" in stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--set", "serach.batch=3"], "did you mean 'search'"),
        (["--set", "train.epochs=many"], "'train.epochs' is 'many'"),
        (["--set", "train.epochs"], "section.key=value"),
        (["--set", "epochs=3"], "did you mean 'train.epochs'?"),
        (["--set", "limits=[{metric: macs, at_most: 10}]"], "limits cannot be kept: macs at most"),
        (["--set", "data={source: folder}"], "--data PATH"),
        (["--set", "data={source: folder}", "--data", "no/such/place"], "no/such/place"),
        (["--set", "targets.0.device=fakee"], "did you mean 'fake'"),
        (["--set", "targets.0={name: t, device: litert_cpu, format: onnx}"], "runs no 'onnx' files"),
        (["--set", "targets.0.options={speed: 3}"], "speed"),
        (["--set", "search.options={popsize: 3}"], "popsize"),
    ],
)
def test_a_run_that_cannot_work_is_refused_before_anything_is_made(
    words: list[str], message: str, tmp_path: Path
) -> None:
    assert message in refused("run", FAKE, "--run-dir", tmp_path / "run", *words)
    assert not (tmp_path / "run").exists()


def test_a_missing_config_is_told(tmp_path: Path) -> None:
    assert "none.yaml" in refused("run", tmp_path / "none.yaml", "--run-dir", tmp_path / "run")


def test_a_place_at_home_is_understood_also_where_the_shell_leaves_the_tilde(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    folder = ["--set", "data={source: folder}"]
    assert f"not at {tmp_path / 'photos'};" in refused("run", FAKE, *folder, "--data=~/photos")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.tex").write_text("precious")
    told = refused("run", FAKE, "--run-dir=~/run")
    assert f"{tmp_path / 'run'} exists and is no run directory; nothing was changed. Give another directory" in told
    assert f"the devices of {tmp_path / 'mine.yaml'} cannot be read" in refused("devices", "list", "--file=~/mine.yaml")


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_needs_a_run_directory(stage: str, tmp_path: Path) -> None:
    assert "nas init" in refused(stage, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("stage", STAGES[1:-1])
def test_a_stage_names_the_one_that_must_come_first(stage: str, tmp_path: Path) -> None:
    assert invoke("init", FAKE, tmp_path / "run")[0] == 0
    assert "run `nas train " in refused(stage, tmp_path / "run")


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_that_is_told_to_change_the_config_says_where_that_is_done(stage: str, tmp_path: Path) -> None:
    code, _, stderr = invoke(stage, tmp_path / "run", "--set", "train.epochs=3")
    assert code == 2
    assert "change it with `nas run CONFIG" in re.sub(r"[\s│]+", " ", stderr)


def test_a_limit_in_milliseconds_is_noticed_when_a_run_is_made(tmp_path: Path) -> None:
    limit = "limits=[{metric: latency_s.fake, at_most: 20}]"
    target = "targets=[{name: fake, device: fake}]"
    code, _, stderr = invoke("init", FAKE, tmp_path / "run", "--set", target, "--set", limit)
    assert code == 0
    assert "latency_s.fake at_most 20 is 20,000 ms" in stderr


def test_images_that_are_left_out_are_noted_before_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class ReachedError(Exception):
        pass

    def training(*_: object) -> None:
        raise ReachedError

    monkeypatch.setattr("nas.stages.train.train", training)
    for part, name in product(("train", "val"), ("cat", "dog")):
        (tmp_path / "photos" / part / name).mkdir(parents=True)
        for number in range(4):
            Image.new("RGB", (16, 16), (50 * number, 0, 0)).save(tmp_path / "photos" / part / name / f"{number}.png")
    (tmp_path / "photos" / "train" / "cat" / "x.HEIC").touch()
    space = "space={name: mobilenetv3_32, options: {classes: 2}}"
    words = ["--set", "data={source: folder}", "--set", space, "--set", "split.calibration=2", "--set", "train={}"]
    assert invoke("init", FAKE, tmp_path / "run", "--data", tmp_path / "photos", *words)[0] == 0
    result = CliRunner().invoke(app, ["train", str(tmp_path / "run")])
    assert isinstance(result.exception, ReachedError)
    assert "train: 1 file is left out: .HEIC is not read (allowed: .bmp" in result.stderr
    assert "train: val/ is left out; only train/ is used" in result.stderr


def test_a_file_of_aliases_of_aliases_is_told_wherever_it_is_given(tmp_path: Path) -> None:
    rows = [f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 80)]
    file, run = tmp_path / "laughs.yaml", tmp_path / "run"
    file.write_text("\n".join(["a0: &a0 [ha, ha]", *rows]))
    for words in (["init", file, run], ["devices", "list", "--file", file]):
        assert f"{file} holds more than 100000 values" in refused(*words)
    assert not run.exists()


def test_a_sweep_needs_a_run_with_fitted_predictors_and_a_file(tmp_path: Path) -> None:
    sweep, run = tmp_path / "sweep.yaml", tmp_path / "run"
    assert "nas init" in refused("sweep", run, sweep)
    assert invoke("init", FAKE, run)[0] == 0
    assert f"`nas sweep` needs what `nas train` makes; run `nas train {run}` first" in refused("sweep", run, sweep)
    for stage in ("train", "profile", "fit"):
        write_json(RunDirectory(run).result(stage), {})
    (run / "train" / "weights.safetensors").touch()
    for target in RunDirectory(run).config.targets:
        for name in ("predictor.json", "predictor.safetensors"):
            write_bytes(run / "predictors" / target.name / name, b"")
    assert "sweep.yaml cannot be read" in refused("sweep", run, sweep)
    sweep.write_text("seeds: [0]\nstrategie: {}\n")
    assert "did you mean 'strategies'" in refused("sweep", run, sweep)
    assert not (run / "sweep").exists()


def test_a_run_with_another_config_is_refused_and_kept(tmp_path: Path) -> None:
    assert invoke("init", FAKE, tmp_path / "run")[0] == 0
    (tmp_path / "run" / "train").mkdir()
    before = (tmp_path / "run" / "config.yaml").read_bytes()
    message = refused("run", FAKE, "--run-dir", tmp_path / "run", "--set", "seed=5")
    assert "seed is 0 in the run, 5 was given" in message
    assert (tmp_path / "run" / "config.yaml").read_bytes() == before


def test_a_missing_runtime_is_told_with_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("devices.LiteRTCPU.unavailable_reason", lambda self: "install it with: pip install it")
    message = refused("run", CONFIGS / "digits.yaml", "--run-dir", tmp_path / "run")
    assert "litert-int8" in message
    assert "pip install it" in message
    assert not (tmp_path / "run").exists()


def test_where_training_stands_is_read_from_files_only(tmp_path: Path) -> None:
    run = tmp_path / "run"
    invoke("init", FAKE, run)
    assert "training has not begun" in invoke("train", run, "--status")[1]
    write_status(run / "train", TrainProgress(30, 120, 2, 0.51, 0.1, 800.0, 90.0))
    (run / "train" / "log.jsonl").write_text('{"step": 30, "validation_accuracy_smallest": 0.625}\n')
    before = {path.name: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    code, stdout, _ = invoke("train", run, "--status")
    assert code == 0
    for words in ("step 30 of 120, epoch 3", "about 2 min left at 800 images/s", "loss 0.510", "smallest 62.5%"):
        assert words in stdout
    (run / "train" / "weights.safetensors").write_bytes(b"")
    assert "finished" in invoke("train", run, "--status")[1]
    assert {path.name: path.read_bytes() for path in run.rglob("*") if path.is_file() and path.stat().st_size} == before
    assert "no run directory" in refused("train", tmp_path, "--status")


def test_a_corrupt_checkpoint_is_told_and_kept(tmp_path: Path) -> None:
    invoke("init", FAKE, tmp_path / "run")
    checkpoint = tmp_path / "run" / "train" / "checkpoint.json"
    checkpoint.parent.mkdir()
    checkpoint.write_text('{"step": 3}')
    assert "checkpoint" in refused("train", tmp_path / "run")
    assert checkpoint.read_text() == '{"step": 3}'


def test_status_shows_what_is_done(tmp_path: Path) -> None:
    invoke("init", FAKE, tmp_path / "run")
    code, stdout, _ = invoke("status", tmp_path / "run")
    assert code == 0
    assert stdout.count("to do") == len(STAGES)


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (NasError("that is wrong"), 2, "error: that is wrong"),
        (OSError(errno.ENOSPC, "No space left on device"), 2, "free some space and run `nas x` again"),
        (FileNotFoundError(errno.ENOENT, "No such file", "a/b"), 2, "a/b"),
        (KeyboardInterrupt(), 130, "`nas x` goes on from here"),
        (MemoryError(), 2, "not enough memory (MemoryError); lower data.size, data.limit or train.batch_size"),
        (
            torch.OutOfMemoryError("CUDA out of memory. Tried"),
            2,
            "on the GPU (CUDA out of memory. Tried); lower train.",
        ),
    ],
)
def test_known_errors_become_one_message(
    error: BaseException, code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as caught, reported(resume="nas x"):
        raise error
    assert caught.value.exit_code == code
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("allocate", [lambda: np.empty(10**17, np.uint8), lambda: torch.empty(10**17)])
def test_a_lack_of_memory_becomes_one_message(allocate: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as caught, reported():
        allocate()
    assert caught.value.exit_code == 2
    assert "error: not enough memory (" in capsys.readouterr().err


def test_an_error_of_our_own_making_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError), reported():
        raise ZeroDivisionError


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_names_the_work_and_how_far_it_is(terminal: bool) -> None:
    out = io.StringIO()
    with ConsoleProgress(Console(file=out, force_terminal=terminal, width=120)) as progress:
        progress.start("train", 4, "step", done=1)
        progress.advance(detail="loss 2.0")
        progress.note("halfway")
        progress.warn("it is hot in here")
        progress.advance(2)
    text = out.getvalue()
    for word in ("train", "4/4", "steps", "halfway", "warning: it is hot in here"):
        assert word in text


def test_work_that_begins_again_takes_its_bars_place() -> None:
    with ConsoleProgress(Console(file=io.StringIO(), force_terminal=True, width=120)) as progress:
        progress.start("train", 4, "step", done=3)
        progress.start("train", 4, "step", done=1)
        progress.advance(3)
        progress.start("train", 4, "step")
        bars = [(bar.description, bar.completed) for bar in progress._bars.tasks]
    assert bars == [("train", 4), ("train", 0)]


def test_without_a_terminal_lines_are_rare_and_tell_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    out, clock = io.StringIO(), iter(range(0, 10_000, 4))
    monkeypatch.setattr("nas.cli.progress.time.monotonic", lambda: float(next(clock)))
    with ConsoleProgress(Console(file=out, force_terminal=False, width=120)) as progress:
        progress.start("search", 100, "candidate")
        for _ in range(30):
            progress.advance()
    lines = out.getvalue().splitlines()
    assert 3 <= len(lines) <= 20
    assert "min left" in lines[-1]


def test_ctrl_c_before_a_command_has_begun_is_no_traceback() -> None:
    program = (
        "import builtins\nreal = builtins.__import__\n"
        "def press(name, *rest):\n    if name == 'typer': raise KeyboardInterrupt\n    return real(name, *rest)\n"
        "builtins.__import__ = press\nfrom nas.cli import main\nmain()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 130
    assert done.stderr == "stopped\n"


def shell(*words: object, env: dict[str, str] | None = None, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from nas.cli import main; main()", *map(str, words)]
    return subprocess.run(
        command, env={**os.environ, **(env or {})}, stderr=subprocess.PIPE, text=True, check=False, **options
    )


def test_a_terminal_that_lacks_a_character_shows_another(tmp_path: Path) -> None:
    ascii_only = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C"}
    done = shell("status", tmp_path / "löst – nichts", env=ascii_only, stdout=subprocess.PIPE)
    assert done.returncode == 2
    assert re.search(r"l\?+st \?+ nichts is no run directory", done.stderr)
    assert "Traceback" not in done.stderr


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = shell("spaces", stdout=writing)
    os.close(writing)
    assert done.stderr == ""


def test_brackets_are_shown_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("devices.LiteRTCPU.unavailable_reason", lambda self: "pip install 'a[b]'")
    assert "a[b]" in invoke("devices", "check")[1]


def test_what_goes_on_after_ctrl_c_is_the_whole_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def press(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("nas.pipeline.run_stage", press)
    code, _, stderr = invoke("train", tmp_path / "my run", "--data", "my photos")
    assert code == 130
    assert f"`nas train '{tmp_path / 'my run'}' --data 'my photos'` goes on from here" in stderr
