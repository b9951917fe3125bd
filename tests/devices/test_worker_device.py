from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from devices import Artifact, DeviceError, Measurement, MeasureSettings, WorkerDevice

SETTINGS = MeasureSettings(min_warmup_s=0.0, min_time_s=0.0, min_count=3, max_time_s=1.0, timeout_s=30.0, ci_width=None)
IMPATIENT = MeasureSettings(min_warmup_s=0.0, min_time_s=0.0, min_count=3, max_time_s=0.1, timeout_s=1.0)


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    import broken_devices  # noqa: PLC0415 (found through the path just set, as the worker finds it)

    return broken_devices


@pytest.fixture
def measure(broken: ModuleType, tmp_path: Path) -> Any:
    """Measure a file of some content on a device of this name, and keep the device for the next."""
    devices: dict[str, WorkerDevice] = {}

    def run(name: str, content: bytes = b"model", settings: MeasureSettings = SETTINGS) -> Measurement:
        path = tmp_path / f"{content.hex()[:100]}.onnx"
        if not path.exists():
            path.write_bytes(content)
        artifact = Artifact.from_file(path, format="onnx", precision="float32", input_shape=(1, 2, 2))
        device = devices.setdefault(name, getattr(broken, name)())
        return device.measure(artifact, settings)

    run.devices = devices  # type: ignore[attr-defined]
    yield run
    for device in devices.values():
        device.close()


def worker_id(measure: Any, name: str) -> int:
    found = measure.devices[name]._supervisor.process_id
    assert found is not None
    return int(found)


def test_one_worker_serves_all_measurements(measure: Any) -> None:
    first = measure("Healthy")
    worker = worker_id(measure, "Healthy")
    second = measure("Healthy", b"another")
    assert first.ok and second.ok and len(first.latencies_s) == 3
    assert worker_id(measure, "Healthy") == worker != os.getpid()


def test_measurement_says_what_was_found(measure: Any) -> None:
    measurement = measure("Healthy")
    found = dict(measurement.environment)
    assert found["runtime"] == "test"
    assert found["runtime_version"] == "1"
    assert {"cpu", "cores", "platform", "python", "numpy", "time", "warmup_s"} <= set(found)
    assert (found["threads"], found["batch"], found["input_shape"]) == ("1", "1", "1x2x2")
    assert (found["precision"], found["delegate"]) == ("float32", "none")
    if hasattr(os, "sched_getaffinity"):
        assert int(found["affinity"]) in os.sched_getaffinity(0)  # pinned to one
    assert measurement.load_s is not None and measurement.first_inference_s is not None


def test_instruction_sets_are_part_of_who_a_device_is(broken: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = set()
    for features in ("", "avx2 avx512_vnni", "avx2 avx512_vnni amx_int8"):
        monkeypatch.setattr("devices.worker_device.cpu_features", lambda features=features: features)
        info = broken.Healthy().info()
        assert info.options == ((("cpu_features", features),) if features else ())
        keys.add(info.key)
    assert len(keys) == 3


def test_another_visit_is_not_thorough(measure: Any) -> None:
    again = measure("Healthy", settings=replace(SETTINGS, visit=2, thorough=False))
    assert again.ok and again.peak_memory_bytes is None and again.load_s is not None


def test_segmentation_fault_is_a_row_that_names_the_signal(measure: Any) -> None:
    measurement = measure("Crashing")
    assert not measurement.ok
    assert "SIGSEGV" in str(measurement.error)
    assert "about to fall" in str(measurement.error)
    assert dict(measurement.environment)["cpu"]


def test_after_a_crash_the_next_model_is_measured(measure: Any) -> None:
    assert measure("CrashingWhenTold").ok
    assert not measure("CrashingWhenTold", b"crash").ok
    assert measure("CrashingWhenTold").ok


def test_a_crash_that_earlier_models_caused_is_not_blamed_on_this_one(measure: Any) -> None:
    assert measure("CrashingWhenOld").ok
    worker = worker_id(measure, "CrashingWhenOld")
    assert measure("CrashingWhenOld", b"second").ok
    assert worker_id(measure, "CrashingWhenOld") != worker


def test_hung_native_code_is_stopped(measure: Any) -> None:
    measurement = measure("Hanging", settings=IMPATIENT)
    assert "timeout_s" in str(measurement.error)
    assert measure.devices["Hanging"]._supervisor.process_id is None


def test_noise_of_a_runtime_is_no_answer(measure: Any) -> None:
    assert measure("Noisy").ok
    assert measure("Noisy").ok


@pytest.mark.parametrize(
    "line", [b"garbage", b"[]", b"{}", b'{"number": 1}', b'{"number": 7, "result": {}}', b'{"number": 1, "result": 1}']
)
def test_nonsense_is_a_row_and_ends_the_worker(measure: Any, line: bytes) -> None:
    measurement = measure("Forging", line)
    assert "no answer" in str(measurement.error)
    assert measure.devices["Forging"]._supervisor.process_id is None


@pytest.mark.parametrize("result", [b"{}", b'{"latencies_s": "x"}', b'{"latencies_s": [-1], "environment": {}}'])
def test_wrong_result_is_a_row_and_its_rest_is_not_taken_for_the_next_answer(measure: Any, result: bytes) -> None:
    assert not measure("Forging", b'{"number": 1, "result": ' + result + b"}").ok
    assert measure("Forging", b"") is not None
    assert not measure("Forging", b"garbage").ok


def test_worker_that_leaves_is_a_row_with_its_exit_code(measure: Any) -> None:
    assert "exit code 3" in str(measure("Leaving").error)


def test_error_of_the_runtime_is_a_row_and_the_worker_goes_on(measure: Any) -> None:
    assert "no memory for this model" in str(measure("Raising").error)
    worker = worker_id(measure, "Raising")
    assert not measure("Raising").ok
    assert worker_id(measure, "Raising") == worker


def test_missing_runtime_is_a_reason_a_row_and_an_error(measure: Any, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"model")
    assert "no module named test" in str(measure("NotInstalled").error)
    device = measure.devices["NotInstalled"]
    assert "nothing helps" in str(device.unavailable_reason())
    assert device.info().runtime_version == "missing"
    artifact = Artifact.from_file(tmp_path / "model.onnx", format="onnx", precision="int8", input_shape=(1, 2, 2))
    with pytest.raises(DeviceError, match="nothing helps"):
        device.open(artifact)


def test_worker_killed_from_outside_is_replaced(measure: Any) -> None:
    assert measure("Healthy").ok
    worker = worker_id(measure, "Healthy")
    os.kill(worker, signal.SIGKILL)
    assert measure("Healthy").ok
    assert worker_id(measure, "Healthy") != worker


@pytest.fixture
def once_hanging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Callable[[int], None]], None]]:
    """Do something with the worker's process id as soon as it hangs."""
    place = tmp_path / "pid"
    monkeypatch.setenv("HANGING_PID_FILE", str(place))
    threads: list[threading.Thread] = []

    def watch(act: Callable[[int], None]) -> None:
        while not (place.exists() and place.read_bytes()):  # it is there before its content is
            time.sleep(0.01)
        act(int(place.read_text(encoding="ascii")))

    def start(act: Callable[[int], None]) -> None:
        threads.append(threading.Thread(target=watch, args=(act,), daemon=True))
        threads[-1].start()

    yield start
    for thread in threads:
        thread.join(30)


def test_worker_killed_while_it_measures_is_a_row(measure: Any, once_hanging: Any) -> None:
    once_hanging(lambda worker: os.kill(worker, signal.SIGKILL))
    assert "SIGKILL" in str(measure("Hanging").error)


def test_interrupt_stops_the_worker_and_is_passed_on(measure: Any, once_hanging: Any) -> None:
    main = threading.main_thread().ident
    assert main is not None
    workers: list[int] = []

    def interrupt(worker: int) -> None:
        workers.append(worker)
        signal.pthread_kill(main, signal.SIGINT)

    once_hanging(interrupt)
    with pytest.raises(KeyboardInterrupt):
        measure("Hanging")
    with pytest.raises(ProcessLookupError):
        os.kill(workers[0], 0)


def test_worker_outlives_the_thread_that_started_it(measure: Any) -> None:
    results: list[Measurement] = []
    thread = threading.Thread(target=lambda: results.append(measure("Healthy")))
    thread.start()
    thread.join()
    worker = worker_id(measure, "Healthy")
    assert measure("Healthy").ok and results[0].ok
    assert worker_id(measure, "Healthy") == worker


def test_threads_take_turns(measure: Any) -> None:
    results: list[Measurement] = []
    assert measure("Slow").ok
    threads = [threading.Thread(target=lambda: results.append(measure("Slow"))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [result.ok for result in results] == [True] * 3


def test_relative_path_is_found(broken: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("model.onnx").write_bytes(b"model")
    artifact = Artifact.from_file(Path("model.onnx"), format="onnx", precision="int8", input_shape=(1, 2, 2))
    device = broken.Healthy()
    assert device.measure(artifact, SETTINGS).ok
    device.close()


def test_closed_device_starts_again(measure: Any) -> None:
    assert measure("Healthy").ok
    measure.devices["Healthy"].close()
    assert measure.devices["Healthy"]._supervisor.process_id is None
    assert measure("Healthy").ok


def test_more_than_one_image_at_a_time_is_refused(measure: Any) -> None:
    assert "batch" in str(measure("Healthy", settings=MeasureSettings(batch=2)).error)


def test_interpreter_that_cannot_be_started_is_a_row(measure: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert "cannot start" in str(measure("Healthy").error)
