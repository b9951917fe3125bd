"""Which GPU there is, asked of a driver that is none: a library with the functions that are called."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from devices import gpu

DRIVER = r"""
#include <stdio.h>
#include <stdlib.h>
static const char *chosen(void) { const char *set = getenv("CUDA_VISIBLE_DEVICES"); return set ? set : "0"; }
int cuInit(unsigned flags) { return 0; }
int cuDeviceGet(int *device, int number) { *device = 7; return *chosen() ? 0 : 100; }
int cuDeviceGetName(char *name, int size, int device) { snprintf(name, size, "GPU %s", chosen()); return device != 7; }
int cuDeviceGetAttribute(int *value, int what, int device) { *value = what * 4; return device != 7; }
"""


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    (tmp_path / "driver.c").write_text(DRIVER)
    made = [compiler, "-shared", "-fPIC", "-o", str(tmp_path / "libcuda.so.1"), str(tmp_path / "driver.c")]
    subprocess.run(made, check=True)
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(gpu, "_known", {})


@pytest.mark.usefixtures("driver")
def test_gpu_is_the_one_that_programs_started_now_would_take(monkeypatch: pytest.MonkeyPatch) -> None:
    assert gpu.gpu_model() == "GPU 0, 64 multiprocessors, 148-bit memory"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert gpu.gpu_model().startswith("GPU 1,")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert gpu.gpu_model() == "unknown"
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.delenv("LD_LIBRARY_PATH")
    assert gpu.gpu_model().startswith("GPU 0,")  # asked once


def test_without_a_driver_it_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "_ASK", "import ctypes; ctypes.CDLL('libno-such-driver.so.1')")
    monkeypatch.setattr(gpu, "_known", {})
    assert gpu.gpu_model() == "unknown"
