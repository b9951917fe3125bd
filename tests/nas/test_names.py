"""Names of folders and classes that are not plain ASCII, or no text at all, go through a whole run."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from nas.cli.app import app

CONFIG = """
threads: 1
space:
  name: mobilenetv3_32
  options: {classes: 3, resolutions: [8], widths: [0.5], depths: [1], kernels: [3, 5], expansions: [2, 3]}
data: {source: folder}
split: {calibration: 8}
train: {epochs: 1, batch_size: 8, random_subnets: 0, crop_padding: 0}
targets:
  - {name: chip, device: fake, precision: float32}
profile: {networks: 6}
predictor: {folds: 2, min_spearman: -1, max_mape: 100}
search: {options: {population: 4}, evaluations: 4, batch: 4}
confirm: {members: 1}
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only there is a file name any bytes")
def test_odd_names_go_through_a_whole_run(tmp_path: Path) -> None:
    names = ["Käse [alt] & <neu>", "名前", os.fsdecode(b"caf\xe9")]
    photos = tmp_path / os.fsdecode(b"photos \xff?")
    rng = np.random.default_rng(0)
    for name in names:
        (photos / name).mkdir(parents=True)
        for number in range(12):
            Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).save(photos / name / f"{number}.png")
    (tmp_path / "config.yaml").write_text(CONFIG)
    run_dir = tmp_path / "what? 100% [red] é #1"
    for words in (["run", tmp_path / "config.yaml", "--run-dir", run_dir, "--data", photos], ["status", run_dir]):
        result = CliRunner().invoke(app, [str(word) for word in words])
        assert result.exit_code == 0, (result.exception, result.stderr)
    card = json.loads(next(run_dir.glob("export/*/card.json")).read_text())
    assert card["class_names"] == sorted(names)
    assert "100% [red] é" in (run_dir / "report" / "index.html").read_text(encoding="utf-8")


@pytest.mark.skipif(sys.platform != "linux", reason="only there is a file name any bytes")
def test_a_run_directory_that_is_no_text_is_refused(tmp_path: Path) -> None:
    config = Path(__file__).parents[2] / "experiments" / "configs" / "digits_fake.yaml"
    run_dir = tmp_path / os.fsdecode(b"run \xff")
    result = CliRunner().invoke(app, ["init", str(config), str(run_dir)])
    assert result.exit_code == 2
    assert "is no UTF-8 text" in result.stderr
    assert not run_dir.exists()
