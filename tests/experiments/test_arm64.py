"""The agent on another architecture, an aarch64 Debian that QEMU runs: only for `make test-arm64`."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

NETWORKS = 20
DEVICES = ("onnxruntime_cpu", "litert_cpu")


@pytest.fixture
def arm64_root(root: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(root / "experiments" / "benchmarks")
    return importlib.import_module("arm64_root")


@pytest.mark.slow
@pytest.mark.timeout(3 * 3600)
@pytest.mark.skipif("HWNAS_ARM64" not in os.environ, reason="needs root on Debian and most of an hour: make test-arm64")
def test_an_emulated_aarch64_profiles_networks_and_ranks_them_in_its_own_way(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "arm64.json"
    script = root / "experiments" / "benchmarks" / "arm64.py"
    subprocess.run([sys.executable, str(script), "--out", str(out)], check=True)
    result = json.loads(out.read_text())
    for device in DEVICES:
        info = result["environment"]["emulated"][device]
        assert (info["name"], info["machine"], info["options"]["measured_by"]) == ("remote", "aarch64", device)
        rows = [row for row in result["rows"] if row["device"] == device]
        assert [row["network"] for row in rows] == list(range(NETWORKS))
        assert all(min(*row["here_ms"], *row["emulated_ms"]) > 0 for row in rows)
    *rankings, logits = result["claims"]
    assert [claim["unit"] for claim in rankings] == ["Spearman"] * len(DEVICES)
    assert all(claim["value"] < 1 for claim in rankings)
    assert logits["holds"], logits


def test_what_is_missing_is_named_with_the_command_that_installs_it(
    arm64_root: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arm64_root.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(arm64_root.shutil, "which", lambda tool: None if tool == "debootstrap" else f"/usr/bin/{tool}")
    monkeypatch.setattr(arm64_root.os, "geteuid", lambda: 0)
    with pytest.raises(arm64_root.SetupError, match=r"install with: apt-get install .* debootstrap"):
        arm64_root.check_machine()


def test_who_is_not_root_is_told_so(arm64_root: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arm64_root.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(arm64_root.shutil, "which", lambda tool: f"/usr/bin/{tool}")
    monkeypatch.setattr(arm64_root.os, "geteuid", lambda: 1000)
    with pytest.raises(arm64_root.SetupError, match="as root"):
        arm64_root.check_machine()


def test_an_aarch64_machine_needs_no_emulation(arm64_root: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arm64_root.platform, "machine", lambda: "aarch64")
    with pytest.raises(arm64_root.SetupError, match="nothing to emulate"):
        arm64_root.check_machine()
