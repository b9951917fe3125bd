"""Every command and every example of README and the guide is run.

A document's commands run in the order in which they stand, in a folder of their own. To be quick, ``digits.yaml`` is
there the tiny ``digits_fake.yaml``, whose run is done already; other configs are cut to one epoch and few networks; a
second run of one of them stops at making its directory; and what `make` would do is only planned.
"""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import yaml
from ai_edge_litert.interpreter import Interpreter
from PIL import Image
from typer.testing import CliRunner

from nas.cli.app import app
from nas.config import load_config, make_config
from nas.sweep import load_sweep
from supernet.data import Preprocessing, fit_images

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs" / "guide").glob("*.md"))]
DIGITS = "nas run experiments/configs/digits.yaml"

PLANNED = {"make": ["-n"], "pip": ["--dry-run"], ".venv/bin/pre-commit": ["--help"]}
"""Programs whose work would take too long or change this checkout: what they would do, and that they could."""

QUICK_SETTINGS = (
    "space.options={classes: 2, resolutions: [16], widths: [0.5], depths: [1], kernels: [3, 5], expansions: [2, 3]}",
    "train.epochs=1",
    "train.batch_size=8",
    "profile.networks=8",
    "predictor.folds=2",
    # Eight networks timed for a hundredth of a second, beside other tests: a predictor may well fail its check.
    "predictor.on_failure=measure",
    "search.evaluations=8",
    "search.batch=8",
    "confirm.members=2",
    "split.calibration=8",
    "measure.min_time_s=0.01",
    "measure.min_warmup_s=0",
    "measure.min_count=3",
)
QUICK = [word for setting in QUICK_SETTINGS for word in ("--set", setting)]
"""Added to a run of a config that is not the tiny one."""


def blocks(document: Path, language: str) -> list[str]:
    """The fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", document.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def commands(document: Path) -> list[str]:
    """What stands after a dollar sign."""
    lines = [line for block in blocks(document, "console") for line in block.splitlines()]
    return [line[2:].partition("  #")[0].strip() for line in lines if line.startswith("$ ")]


def environment() -> dict[str, str]:
    scripts = Path(sys.executable).parent
    return {
        **os.environ,
        "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
        "COLUMNS": "120",
        "OMP_NUM_THREADS": "1",
    }


def shell(words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, cwd=folder, env=environment(), capture_output=True, text=True, check=False)


def nas(words: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    """The command inside this process, which saves importing everything each time; exit code and output."""
    with monkeypatch.context() as patch:
        patch.chdir(folder)
        result = CliRunner().invoke(app, words, catch_exceptions=False)
    return result.exit_code, result.output


def lay_out(folder: Path) -> None:
    """A checkout's configs as the documents use them, and images of one's own."""
    shutil.copytree(ROOT / "experiments" / "configs", folder / "experiments" / "configs")
    configs = folder / "experiments" / "configs"
    shutil.copy(configs / "digits_fake.yaml", configs / "digits.yaml")
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (folder / "photos" / name).mkdir(parents=True)
        for number in range(30):
            pixels = rng.integers(0, 256, (40, 32, 3), np.uint8)
            Image.fromarray(pixels).save(folder / "photos" / name / f"{number:04}.png")


@pytest.fixture(scope="module")
def digits_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that the documents talk about, made by the command they give."""
    folder = tmp_path_factory.mktemp("readme")
    lay_out(folder)
    done = shell(DIGITS.split(), folder)
    assert done.returncode == 0, done.stderr
    return folder / "runs" / "digits"


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("document", [d for d in DOCUMENTS if commands(d)], ids=lambda path: path.name)
def test_every_command_works_as_it_stands(
    document: Path, digits_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_out(tmp_path)
    shutil.copytree(digits_run, tmp_path / "runs" / "digits")
    for block in blocks(document, "yaml"):
        if "space:" in block:
            (tmp_path / "photos.yaml").write_text(block)
        if "seeds:" in block:
            (tmp_path / "sweep.yaml").write_text(re.sub(r"seeds: .*", "seeds: [0]", block))
    for command in commands(document):
        program, *words = command.split()
        if program == "nas":
            code, output = nas(quick(words), tmp_path, monkeypatch)
        elif program == "cp":
            done = shell([program, *words], tmp_path)
            code, output = done.returncode, done.stderr
        elif shutil.which(program, path=environment()["PATH"]) or (ROOT / program).exists():
            done = shell([program, *PLANNED[program], *words], ROOT)
            code, output = done.returncode, done.stdout + done.stderr
        else:
            continue
        assert code == 0, f"$ {command}\n{output}"


def quick(words: list[str]) -> list[str]:
    """The same command with less to do."""
    if "photos.yaml" not in words:
        return words
    if "--run-dir" in words:
        # The same options a second time: that they are understood is shown by making the directory alone.
        at = words.index("--run-dir")
        return ["init", words[1], words[at + 1], *words[2:at], *words[at + 2 :]]
    return words + QUICK


NAMING_TARGETS = {"objectives", "limits"}
OWN_SPACE = ROOT / "docs" / "guide" / "your-own-space.md"


def write_own_space(folder: Path) -> None:
    """The guide's own space where the guide says it is."""
    (folder / "plain_space.py").write_text(blocks(OWN_SPACE, "python")[0])


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_piece_of_yaml_is_a_config_or_part_of_one(
    document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_own_space(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "modules", sys.modules.copy())
    whole = load_config(ROOT / "experiments" / "configs" / "digits.yaml").model_dump(mode="json")
    for block in blocks(document, "yaml"):
        values = yaml.safe_load(block)
        if "seeds" in values:
            (tmp_path / "sweep.yaml").write_text(block)
            load_sweep(tmp_path / "sweep.yaml")
            continue
        if values.keys() == {"devices"}:
            (tmp_path / "devices.yaml").write_text(block)
        # Objectives and limits speak of targets by their names.
        kept = {key: value for key, value in whole.items() if "targets" not in values or key not in NAMING_TARGETS}
        make_config(values if {"space", "data"} <= values.keys() else {**kept, **values})


def test_a_config_names_the_space_of_the_guide(tmp_path: Path) -> None:
    """In a process of its own, as from a terminal; the run directory names it too."""
    write_own_space(tmp_path)
    (config,) = [block for block in blocks(OWN_SPACE, "yaml") if "plain_space:plain" in block]
    (tmp_path / "plain.yaml").write_text(config)
    done = shell(["nas", "init", "plain.yaml", "runs/plain"], tmp_path)
    assert done.returncode == 0, done.stderr
    (tmp_path / "plain_space.py").unlink()
    done = shell(["nas", "train", "runs/plain"], tmp_path)
    assert done.returncode == 2
    assert "there is no module 'plain_space'" in done.stderr


@pytest.mark.slow
def test_the_space_of_the_guide_is_searched_from_end_to_end(tmp_path: Path) -> None:
    """The page's own code, in a process of its own, with one epoch instead of ten."""
    write_own_space(tmp_path)
    code = blocks(OWN_SPACE, "python")[1]
    less = {
        '"epochs": 10': '"epochs": 1, "batch_size": 64',
        '"size": 16': '"size": 16, "limit": 600',
        '"targets"': '"profile": {"networks": 10}, "search": {"evaluations": 10}, "confirm": {"members": 2}, "targets"',
    }
    for old, new in less.items():
        assert old in code
        code = code.replace(old, new)
    done = shell([sys.executable, "-c", code], tmp_path)
    assert done.returncode == 0, done.stderr
    assert list((tmp_path / "runs" / "plain" / "export").glob("*/model.int8.tflite"))
    assert (tmp_path / "runs" / "plain" / "report" / "index.html").is_file()


@pytest.mark.slow
def test_an_exported_file_is_used_as_the_guide_says(
    digits_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The page's code makes the input that the framework makes, and files of every kind take and give float32."""
    (code,) = blocks(ROOT / "docs" / "guide" / "run-directory.md", "python")
    (tmp_path / "use.py").write_text(code)
    photo = np.random.default_rng(0).integers(0, 256, (37, 50, 3), np.uint8)
    Image.fromarray(photo).save(tmp_path / "photo.png")
    monkeypatch.chdir(digits_run.parents[1])
    (digits_run.parents[1] / "photo.png").write_bytes((tmp_path / "photo.png").read_bytes())
    used = runpy.run_path(str(tmp_path / "use.py"))
    card = used["card"]
    assert capsys.readouterr().out.strip() in card["class_names"]
    how = Preprocessing.from_json(card["preprocessing"])
    resolution = card["input_shape"][-1]
    for size in (resolution, resolution // 2, 2 * resolution):  # as it is, smaller, larger
        card["input_shape"] = [3, size, size]
        ours = how.inputs(fit_images(photo[None], how.stored_size), size)
        np.testing.assert_allclose(used["network_input"](tmp_path / "photo.png"), ours, atol=1e-5)
    folder = used["folder"]
    for file in folder.glob("*.onnx"):
        session = onnxruntime.InferenceSession(file)
        assert {end.type for end in (*session.get_inputs(), *session.get_outputs())} == {"tensor(float)"}, file
    for file in folder.glob("*.tflite"):
        interpreter = Interpreter(model_path=str(file))
        ends = (*interpreter.get_input_details(), *interpreter.get_output_details())
        assert {end["dtype"] for end in ends} == {np.float32}, file


def test_the_files_that_readme_names_are_in_the_repository() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in re.findall(r"`((?:experiments|docs|tests)/[\w./-]+)`", text):
        assert (ROOT / name).exists(), name
