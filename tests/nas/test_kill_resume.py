"""Killed at random moments and resumed, a run gives what an undisturbed one gives; Ctrl-C stops it cleanly."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FAKE = ROOT / "experiments" / "configs" / "digits_fake.yaml"


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_kills_change_nothing(tmp_path: Path) -> None:
    script = ROOT / "experiments" / "benchmarks" / "kill_resume.py"
    out = tmp_path / "result.json"
    done = subprocess.run(
        [sys.executable, str(script), "--quick", "--out", str(out)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(out.read_text())
    assert {claim["name"]: claim["holds"] for claim in result["claims"]} == dict.fromkeys(
        (claim["name"] for claim in result["claims"]), True
    ), result["rows"]


def test_ctrl_c_stops_with_a_hint_and_the_run_goes_on(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    # A test run in the background of a shell would pass on that Ctrl-C is ignored.
    program = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from nas.cli import main; main()"
    )
    command = [sys.executable, "-c", program, "run", str(FAKE), "--run-dir", str(run_dir)]
    with subprocess.Popen([*command, "--set", "train.epochs=2000"], stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while not (run_dir / "preprocessing.json").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "goes on from here" in stderr
    assert "Traceback" not in stderr
    assert not (run_dir / "train" / "result.json").exists()
