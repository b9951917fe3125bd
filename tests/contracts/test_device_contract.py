"""What every registered device has to do."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import nas.torch_devices  # noqa: F401 (registers them)
from devices import (
    Artifact,
    Device,
    DeviceError,
    Format,
    LoadedModel,
    Measurement,
    MeasureSettings,
    device_names,
    get_device,
)
from devices.agent.server import Agent, Served
from devices.registry import device_module
from nas.config import UnitSection
from nas.distributed.pool import PooledDevice

POOL = "a pool of them"
SETTINGS = MeasureSettings(min_warmup_s=0.0, min_time_s=0.01, min_count=7, max_time_s=1.0, timeout_s=30.0)


@pytest.fixture(scope="module", params=[*device_names(), pytest.param(POOL, marks=pytest.mark.slow)])
def kind(request: pytest.FixtureRequest) -> str:
    """A device's name, or what is made of several."""
    return str(request.param)


@pytest.fixture(scope="module")
def asked(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict[str, str]]]:
    """A device's name and what it has to be told: a remote one is reached over a real connection."""
    if kind != "remote":
        yield "onnxruntime_cpu" if kind == POOL else kind, {}
        return
    served = Served(get_device("onnxruntime_cpu"), "onnxruntime_cpu", {})
    agent = Agent({"board": served}, tmp_path_factory.mktemp("agent"))
    agent.start()
    yield kind, {"url": agent.url}
    agent.stop()


@pytest.fixture(scope="module")
def device(kind: str, asked: tuple[str, dict[str, str]]) -> Iterator[Device]:
    if kind == POOL:
        import ray  # noqa: PLC0415 (takes a second)

        ray.init("local", num_cpus=1, include_dashboard=False, log_to_driver=False)  # no other that may run here
        made: Device = PooledDevice(*asked, [UnitSection(name="a"), UnitSection(name="b")])
    else:
        made = get_device(*asked)
    if reason := made.unavailable_reason():
        pytest.skip(reason)
    yield made
    made.close()
    if kind == POOL:
        ray.shutdown()


@pytest.fixture
def artifacts(device: Device, tiny_artifacts: dict[Format, Artifact]) -> list[Artifact]:
    return [tiny_artifacts[kind] for kind in device.formats]


def test_is_a_device(device: Device) -> None:
    assert isinstance(device, Device)
    assert device.name in device_names()
    assert device.formats


def test_identity_is_the_same_in_every_process(device: Device, asked: tuple[str, dict[str, str]]) -> None:
    info = device.info()
    assert info == device.info() == get_device(*asked).info()
    assert info.name == device.name
    assert info.to_json()["key"] == info.key
    registers = f"import {device_module(asked[0])}"
    script = f"{registers}; from devices import get_device; print(get_device(*{asked!r}).info().key)"
    told = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert told.stdout.strip() == info.key


def test_measurement_is_complete(device: Device, artifacts: list[Artifact]) -> None:
    for artifact in artifacts:
        made = device.measure(artifact, SETTINGS)
        assert made.error is None
        assert (made.artifact_sha256, made.format, made.precision) == (artifact.sha256, artifact.format, "float32")
        assert (made.device, made.settings, made.source) == (device.name, SETTINGS, "measured")
        assert len(made.latencies_s) >= SETTINGS.min_count
        assert 0 < made.median_s <= made.p90_s
        assert made.load_s is not None and made.first_inference_s is not None
        assert made.environment
        assert Measurement.from_json(made.to_json()) == made


def test_changed_file_is_never_measured_under_its_old_name(
    device: Device, artifacts: list[Artifact], tmp_path: Path
) -> None:
    for artifact in artifacts:
        path = tmp_path / artifact.path.name
        path.write_bytes(artifact.path.read_bytes() + b"\0")
        moved = replace(artifact, path=path)
        assert "has changed" in str(device.measure(moved, SETTINGS).error)
        with pytest.raises(DeviceError, match="has changed"):
            device.open(moved)


def test_missing_file_is_a_failed_measurement(device: Device, artifacts: list[Artifact], tmp_path: Path) -> None:
    for artifact in artifacts:
        missing = replace(artifact, path=tmp_path / "missing")
        failed = device.measure(missing, SETTINGS)
        assert "cannot read" in str(failed.error)
        assert Measurement.from_json(failed.to_json()) == failed
        with pytest.raises(DeviceError, match="cannot read"):
            device.open(missing)


def test_file_of_another_format_is_a_failed_measurement(device: Device, tiny_artifacts: dict[Format, Artifact]) -> None:
    for kind in set(tiny_artifacts) - set(device.formats):
        assert "cannot run" in str(device.measure(tiny_artifacts[kind], SETTINGS).error)
        with pytest.raises(DeviceError, match="cannot run"):
            device.open(tiny_artifacts[kind])


def test_malformed_file_cannot_be_opened(device: Device, artifacts: list[Artifact], tmp_path: Path) -> None:
    path = tmp_path / "malformed"
    path.write_bytes(b"this is no model" * 10)
    for artifact in artifacts:
        malformed = Artifact.from_file(path, format=artifact.format, precision="int8", input_shape=(3, 16, 16))
        assert device.measure(malformed, SETTINGS).error
        with pytest.raises(DeviceError, match="malformed"):
            device.open(malformed)


def test_opened_model_computes_image_by_image(device: Device, artifacts: list[Artifact]) -> None:
    images = np.random.default_rng(0).standard_normal((5, 3, 16, 16), dtype=np.float32)
    for artifact in artifacts:
        with device.open(artifact) as model:
            assert isinstance(model, LoadedModel)
            logits = model.predict(images)
            assert logits.shape == (5, 5) and logits.dtype == np.float32
            np.testing.assert_array_equal(model.predict(images[3:4])[0], logits[3])
            np.testing.assert_array_equal(model.predict(np.asfortranarray(images)), logits)


def test_int8_file_is_measured_and_computes_nearly_the_same(
    device: Device, tiny_artifacts: dict[Format, Artifact], tiny_int8_artifacts: dict[Format, Artifact]
) -> None:
    images = np.random.default_rng(0).standard_normal((5, 3, 16, 16), dtype=np.float32)
    kinds = [kind for kind in device.formats if kind in tiny_int8_artifacts]
    if not kinds:
        pytest.skip(f"no {'or'.join(device.formats)} files are written in INT8")
    for kind in kinds:
        made = device.measure(tiny_int8_artifacts[kind], SETTINGS)
        assert (made.error, made.precision) == (None, "int8")
        with device.open(tiny_int8_artifacts[kind]) as small, device.open(tiny_artifacts[kind]) as full:
            difference = np.abs(small.predict(images) - full.predict(images)).max()
            assert 0 < difference < 0.05 * np.abs(full.predict(images)).max()


@pytest.mark.parametrize("shape", [(0, 3, 16, 16), (3, 16, 16), (2, 3, 8, 8), (2, 16, 16, 3)])
def test_images_of_another_shape_are_refused(device: Device, artifacts: list[Artifact], shape: tuple[int, ...]) -> None:
    for artifact in artifacts:
        with device.open(artifact) as model, pytest.raises(DeviceError, match="images have shape"):
            model.predict(np.zeros(shape, dtype=np.float32))


def test_closed_device_can_be_used_again(device: Device, artifacts: list[Artifact]) -> None:
    device.close()
    device.close()
    assert device.measure(artifacts[0], SETTINGS).ok
