"""Files that are damaged in every way, and a runtime that falls again and again: always a row, and nothing is left."""

from __future__ import annotations

import gc
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from devices import Artifact, Device, Format, MeasureSettings, get_device

QUICK = MeasureSettings(
    min_warmup_s=0.0, min_time_s=0.0, min_count=1, max_time_s=0.2, timeout_s=120.0, ci_width=None, thorough=False
)
MUTANTS = int(os.environ.get("HWNAS_MUTANTS", "12"))
"""Of each format; 250 is what a release is tested with."""
MEASUREMENTS = int(os.environ.get("HWNAS_MEASUREMENTS", "24"))
"""After which nothing may be left; 1000 is what a release is tested with."""


def cut(content: bytes, rng: np.random.Generator) -> bytes:
    return content[: rng.integers(0, len(content))]


def flip(content: bytes, rng: np.random.Generator) -> bytes:
    changed = bytearray(content)
    for place in rng.integers(0, len(content), rng.integers(1, 9)):
        changed[place] ^= 1 << rng.integers(0, 8)
    return bytes(changed)


def overwrite(content: bytes, rng: np.random.Generator) -> bytes:
    """With what makes sizes and offsets huge, or negative."""
    changed, place = bytearray(content), int(rng.integers(0, len(content)))
    changed[place : place + 4] = [b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x00\x00\x00\x80"][rng.integers(3)]
    return bytes(changed[: len(content)])


def swap(content: bytes, rng: np.random.Generator) -> bytes:
    first, second = sorted(rng.integers(0, len(content), 2))
    return content[second:] + content[first:second] + content[:first]


def repeat(content: bytes, rng: np.random.Generator) -> bytes:
    first, second = sorted(rng.integers(0, len(content), 2))
    return content[:second] + content[first:]


WAYS: tuple[Callable[[bytes, np.random.Generator], bytes], ...] = (flip, overwrite, cut, swap, repeat)


@pytest.mark.parametrize("name", ["onnxruntime_cpu", "litert_cpu"])
@pytest.mark.timeout(3600)
def test_a_damaged_file_is_a_row_and_the_next_good_one_is_measured(
    name: str, tiny_artifacts: dict[Format, Artifact], tmp_path: Path
) -> None:
    device: Device = get_device(name)
    if reason := device.unavailable_reason():
        pytest.skip(reason)
    good = tiny_artifacts[device.formats[0]]
    content, rng = good.read(), np.random.default_rng(0)
    path = tmp_path / f"mutant.{good.format}"
    failed = 0
    for number in range(MUTANTS):
        path.write_bytes(WAYS[number % len(WAYS)](content, rng))
        mutant = Artifact.from_file(path, format=good.format, precision="float32", input_shape=good.input_shape)
        made = device.measure(mutant, QUICK)
        assert made.artifact_sha256 == mutant.sha256
        assert bool(made.latencies_s) != bool(made.error)
        failed += not made.ok
    assert failed >= MUTANTS // 4  # those that are cut or swapped at the least
    assert device.measure(good, QUICK).ok
    device.close()


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    import broken_devices  # noqa: PLC0415 (found through the path just set, as the worker finds it)

    return broken_devices


def model(folder: Path, content: bytes) -> Artifact:
    path = folder / f"{content.decode()}.onnx"
    path.write_bytes(content)
    return Artifact.from_file(path, format="onnx", precision="float32", input_shape=(1, 2, 2))


def left_behind() -> tuple[int, int, int]:
    """Open descriptors, threads and children of this process."""
    gc.collect()
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii").split()
    return len(list(Path("/proc/self/fd").iterdir())), threading.active_count(), len(children)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.timeout(3600)
def test_nothing_is_left_behind_however_often_the_worker_falls(broken: Any, tmp_path: Path) -> None:
    device = broken.CrashingWhenTold()
    good, bad = model(tmp_path, b"model"), model(tmp_path, b"crash")
    assert device.measure(good, QUICK).ok
    device.close()
    before = left_behind()
    for number in range(MEASUREMENTS):
        falls = number % 8 == 7
        assert device.measure(bad if falls else good, QUICK).ok != falls
    device.close()
    for thread in threading.enumerate():
        if thread.daemon and thread is not threading.current_thread():
            thread.join(0.5)
    assert left_behind() == before


def test_too_much_memory_is_a_row_and_the_worker_goes_on(broken: Any, tmp_path: Path) -> None:
    device = broken.Greedy()
    assert device.measure(model(tmp_path, b"model"), QUICK).ok
    worker = device._supervisor.process_id
    assert "allocate" in str(device.measure(model(tmp_path, b"huge"), QUICK).error)
    assert device.measure(model(tmp_path, b"model"), replace(QUICK, visit=1)).ok
    assert device._supervisor.process_id == worker
    device.close()


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_when_memory_runs_out_the_worker_falls_and_not_its_parent(broken: Any, tmp_path: Path) -> None:
    device = broken.Confessing()
    assert "score 1000, limited True" in str(device.measure(model(tmp_path, b"model"), QUICK).error)
    device.close()
    assert Path("/proc/self/oom_score_adj").read_text(encoding="ascii").strip() != "1000"
