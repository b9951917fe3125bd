"""A short run of the benchmark: real agents and Ray nodes, of which one each is killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.timeout(900)  # on a busy machine Ray takes minutes to begin its processes
@pytest.mark.skipif(not Path("/proc/self").exists() or os.name != "posix", reason="looks for processes in /proc")
def test_a_node_and_an_agent_that_die_cost_no_row_and_double_none(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "ray_profiling.json"
    script = root / "experiments" / "benchmarks" / "ray_profiling.py"
    subprocess.run([sys.executable, str(script), "--quick", "--out", str(out)], check=True)
    result = json.loads(out.read_text())
    (row,) = result["rows"]
    assert row["rows"] == row["networks"] == 16
    assert row["rows_doubled"] == row["rows_failed"] == row["rows_differing"] == row["at_once"] == 0
    assert row["measurements"] >= 32
    assert all(claim["holds"] for claim in result["claims"]), result["claims"]
