"""The agent as one file, in an environment that holds numpy and one runtime and nothing else."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from devices import Artifact, DeviceError, Format, MeasureSettings, OnnxRuntimeCPU, RemoteDevice
from devices.agent.bundle import write_bundle

NOTHING_ELSE = (
    "import importlib.util as u; print([n for n in ('torch', 'ray', 'nas', 'onnx', 'pip') if u.find_spec(n)])"
)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundle") / "agent.pyz"
    assert write_bundle(path) == path.stat().st_size
    return path


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter that finds only numpy and ONNX Runtime."""
    place = tmp_path_factory.mktemp("board") / "venv"
    venv.create(place, symlinks=os.name == "posix")
    (packages,) = place.glob("lib/python*/site-packages")
    for name in ("numpy", "onnxruntime"):
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            pytest.skip(f"{name} is missing")
        home = Path(spec.origin).parent
        for part in (home, home.with_name(f"{name}.libs")):
            if part.is_dir():
                (packages / part.name).symlink_to(part)
    return place / "bin" / "python"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


@pytest.fixture
def agent(python: Path, bundle: Path, environment: dict[str, str], tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The agent's url and the file with its token."""
    token = tmp_path / "token"
    token.write_text("correct-horse-battery-staple\n")
    token.chmod(0o600)
    process = subprocess.Popen(
        [python, "-I", bundle, "serve", "--port", "0", "--token-file", token], env=environment, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if line.startswith("serving "):
            break
    assert "not served: litert_cpu: litert cannot be imported" in "".join(said)
    assert said[-1].startswith("serving onnxruntime_cpu at "), said
    yield said[-1].split()[3].rstrip(";"), token
    process.send_signal(signal.SIGINT)
    assert process.stderr.read().endswith("stopped\n")
    assert process.wait(30) == 0
    process.stderr.close()


@pytest.mark.skipif(sys.platform == "win32", reason="symbolic links")
def test_it_measures_and_computes_as_the_runtime_here_does(
    agent: tuple[str, Path], python: Path, environment: dict[str, str], tiny_artifacts: dict[Format, Artifact]
) -> None:
    found = subprocess.run(
        [python, "-I", "-c", NOTHING_ELSE], env=environment, capture_output=True, text=True, check=True
    )
    assert found.stdout == "[]\n"
    settings = MeasureSettings(min_warmup_s=0.0, min_time_s=0.0, min_count=20, max_time_s=1.0)
    images = np.random.default_rng(0).standard_normal((3, 3, 16, 16), dtype=np.float32)
    there = RemoteDevice(url=agent[0], token_file=str(agent[1]))
    made = there.measure(tiny_artifacts["onnx"], settings)
    assert made.error is None
    assert len(made.latencies_s) >= 20 and made.load_s is not None
    with there.open(tiny_artifacts["onnx"]) as remote, OnnxRuntimeCPU().open(tiny_artifacts["onnx"]) as local:
        np.testing.assert_array_equal(remote.predict(images), local.predict(images))
    failed = RemoteDevice(url=agent[0], device="litert_cpu", token_file=str(agent[1])).unavailable_reason()
    assert "there is no device 'litert_cpu'" in str(failed)


def test_it_holds_the_package_and_nothing_else_and_is_the_same_each_time(bundle: Path, tmp_path: Path) -> None:
    names = zipfile.ZipFile(bundle).namelist()
    assert {"__main__.py", "devices/__init__.py", "devices/agent/server.py", "devices/worker.py"} <= set(names)
    assert all(name == "__main__.py" or (name.startswith("devices/") and "__pycache__" not in name) for name in names)
    assert bundle.read_bytes().startswith(b"#!/usr/bin/env python3\n")
    write_bundle(tmp_path / "again.pyz")
    assert (tmp_path / "again.pyz").read_bytes() == bundle.read_bytes()
    with pytest.raises(DeviceError, match="cannot write"):
        write_bundle(tmp_path / "missing" / "agent.pyz")


def test_without_numpy_it_says_what_to_install(bundle: Path, environment: dict[str, str]) -> None:
    told = subprocess.run(
        [sys.executable, "-I", "-S", bundle], env=environment, capture_output=True, text=True, check=False
    )
    assert told.returncode == 1
    assert "the agent needs numpy" in told.stderr and "pip install numpy" in told.stderr
