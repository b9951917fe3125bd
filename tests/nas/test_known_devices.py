from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from latency_predictors import KnownDevices
from nas.errors import NasError
from nas.known_devices import add_run
from search_spaces import get_space


class FakeRun(SimpleNamespace):
    """A run directory of which only the profile matters."""

    def require(self, stage: str, *, needed_by: str) -> None:
        if not self.result(stage).is_file():
            raise NasError(f"{needed_by} needs {stage}")

    def result(self, stage: str) -> Path:
        return Path(self.path) / f"{stage}.json"


@pytest.fixture
def run_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    space = get_space("mobilenetv3_32")
    rng = np.random.default_rng(0)
    rows = []
    for arch in [space.sample(rng) for _ in range(3)]:
        for target, seconds in (("cpu", 1e-3), ("phone", 2e-3)):
            row = {"key": arch.key, "choices": list(arch.choices), "target": target, "median_s": seconds, "error": None}
            rows.append(row)
    rows[3] |= {"median_s": None, "error": "out of memory"}
    (tmp_path / "profile.json").write_text(json.dumps({"rows": rows}))
    config = SimpleNamespace(make_space=lambda: space)
    monkeypatch.setattr("nas.known_devices.RunDirectory", lambda path: FakeRun(path=path, config=config))
    return tmp_path


def test_what_a_run_measured_is_added_and_failures_are_not(run_dir: Path, tmp_path: Path) -> None:
    path = tmp_path / "fleet.safetensors"
    add_run(path, run_dir)
    known = KnownDevices.load(path)
    assert known.devices == ("cpu", "phone")
    np.testing.assert_array_equal(known.latencies_s, [[1e-3, 2e-3], [1e-3, np.nan], [1e-3, 2e-3]])
    assert add_run(path, run_dir).latencies_s.shape == (6, 2)


def test_runs_that_are_added_at_once_are_all_kept(run_dir: Path, tmp_path: Path) -> None:
    path = tmp_path / "fleet.safetensors"
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: add_run(path, run_dir), range(8)))
    assert KnownDevices.load(path).latencies_s.shape == (8 * 3, 2)


def test_a_run_without_measurements_is_refused(run_dir: Path, tmp_path: Path) -> None:
    (run_dir / "profile.json").write_text(json.dumps({"rows": []}))
    with pytest.raises(NasError, match="nothing to add"):
        add_run(tmp_path / "fleet.safetensors", run_dir)
    (run_dir / "profile.json").unlink()
    with pytest.raises(NasError, match="fleet needs profile"):
        add_run(tmp_path / "fleet.safetensors", run_dir)
