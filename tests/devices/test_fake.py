from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from devices import Artifact, DeviceError, FakeDevice, Measurement, MeasureSettings, Workload, get_device

SETTINGS = MeasureSettings()
WORK = Workload(macs=10_000_000, parameters=100_000, activation_elements=200_000)


def artifact(folder: Path, content: bytes = b"a", **changes: Any) -> Artifact:
    path = folder / f"{content.hex()}.onnx"
    path.write_bytes(content)
    fields = {"format": "onnx", "precision": "float32", "input_shape": (3, 32, 32), "workload": WORK, **changes}
    return Artifact.from_file(path, **fields)


def samples(measurement: Measurement) -> tuple[float, ...]:
    assert measurement.error is None
    return measurement.latencies_s


def test_roofline(tmp_path: Path) -> None:
    device = FakeDevice(macs_per_s=1e9, bytes_per_s=1e9, overhead_s=0.001)
    assert device.expected_s(artifact(tmp_path), SETTINGS) == pytest.approx(0.011)
    moving = Workload(macs=1, parameters=1_000_000, activation_elements=250_000)
    assert device.expected_s(artifact(tmp_path, workload=moving), SETTINGS) == pytest.approx(0.006)
    assert device.expected_s(artifact(tmp_path, workload=moving, precision="int8"), SETTINGS) == pytest.approx(0.00225)
    assert device.expected_s(artifact(tmp_path), MeasureSettings(threads=2)) == pytest.approx(0.006)
    assert device.expected_s(artifact(tmp_path), MeasureSettings(batch=2)) == pytest.approx(0.021)


def test_samples_depend_on_cost_and_settings_and_not_on_the_weights(tmp_path: Path) -> None:
    first = FakeDevice().measure(artifact(tmp_path, b"a"), SETTINGS)
    again = FakeDevice().measure(artifact(tmp_path, b"b"), SETTINGS)
    assert samples(first) == samples(again)
    assert first == FakeDevice().measure(artifact(tmp_path, b"a"), SETTINGS)
    others = [
        FakeDevice(seed=1).measure(artifact(tmp_path), SETTINGS),
        FakeDevice().measure(artifact(tmp_path, workload=replace(WORK, macs=WORK.macs + 1)), SETTINGS),
        FakeDevice().measure(artifact(tmp_path, precision="int8"), SETTINGS),
        FakeDevice().measure(artifact(tmp_path, format="tflite"), SETTINGS),
        FakeDevice().measure(artifact(tmp_path), MeasureSettings(min_count=60)),
    ]
    assert len({samples(first)[:50], *(samples(other)[:50] for other in others)}) == 6


def test_samples_lie_around_the_expectation(tmp_path: Path) -> None:
    device = FakeDevice(noise=0.05)
    made = device.measure(artifact(tmp_path), MeasureSettings(min_count=1000))
    assert made.median_s == pytest.approx(device.expected_s(artifact(tmp_path), SETTINGS), rel=0.02)
    assert len(made.latencies_s) == 1000
    assert len(set(samples(FakeDevice(noise=0).measure(artifact(tmp_path), SETTINGS)))) == 1


def test_unknown_cost_is_a_failed_measurement(tmp_path: Path) -> None:
    assert "workload" in str(FakeDevice().measure(artifact(tmp_path, workload=None), SETTINGS).error)


def test_identity_holds_the_options() -> None:
    keys = {FakeDevice().info().key, FakeDevice(seed=1).info().key, FakeDevice(noise=0.1).info().key}
    assert len(keys) == 3
    assert FakeDevice(macs_per_s=10e9).info().key == FakeDevice().info().key


@pytest.mark.parametrize(
    "options", [{"macs_per_s": 0}, {"bytes_per_s": -1}, {"noise": float("nan")}, {"overhead_s": -1e-6}, {"seed": -1}]
)
def test_numbers_out_of_range_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(DeviceError, match=next(iter(options))):
        get_device("fake", options)
