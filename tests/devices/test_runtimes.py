"""What the two runtimes do alike, and what they do with files that are damaged."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from devices import Artifact, Device, DeviceError, Format, LiteRTCPU, MeasureSettings, OnnxRuntimeCPU
from devices.litert_cpu import _dequantised, _quantised

SETTINGS = MeasureSettings(min_warmup_s=0.0, min_time_s=0.0, min_count=3, max_time_s=1.0, timeout_s=30.0)
RUNTIMES = {"onnx": OnnxRuntimeCPU, "tflite": LiteRTCPU}


@pytest.fixture(scope="module", params=["onnx", "tflite"])
def runtime(request: pytest.FixtureRequest) -> Iterator[tuple[Device, Format]]:
    device = RUNTIMES[request.param]()
    if reason := device.unavailable_reason():
        pytest.skip(reason)
    yield device, request.param
    device.close()


def changed(artifact: Artifact, content: bytes, folder: Path) -> Artifact:
    path = folder / f"changed.{artifact.format}"
    path.write_bytes(content)
    return Artifact.from_file(path, format=artifact.format, precision="float32", input_shape=artifact.input_shape)


def test_runtimes_compute_the_same(tiny_artifacts: dict[Format, Artifact]) -> None:
    images = np.random.default_rng(1).standard_normal((7, 3, 16, 16), dtype=np.float32)
    outputs = []
    for kind, device in RUNTIMES.items():
        if device().unavailable_reason():
            pytest.skip("a runtime is missing")
        with device().open(tiny_artifacts[kind]) as model:
            outputs.append(model.predict(images))
    np.testing.assert_allclose(outputs[0], outputs[1], rtol=1e-4, atol=1e-4)


def test_bound_image_is_the_one_that_is_run(
    runtime: tuple[Device, Format], tiny_artifacts: dict[Format, Artifact]
) -> None:
    device, kind = runtime
    image = np.ones((1, 3, 16, 16), dtype=np.float32)
    with device.open(tiny_artifacts[kind]) as model:
        run = model.bind(image)
        for _ in range(3):
            run()
        before = model.predict(image)
        run()
        np.testing.assert_array_equal(model.predict(image), before)


def test_more_threads_compute_the_same(runtime: tuple[Device, Format], tiny_artifacts: dict[Format, Artifact]) -> None:
    device, kind = runtime
    images = np.random.default_rng(1).standard_normal((2, 3, 16, 16), dtype=np.float32)
    with device.open(tiny_artifacts[kind]) as one, device.open(tiny_artifacts[kind], threads=2) as two:
        np.testing.assert_allclose(one.predict(images), two.predict(images), rtol=1e-4, atol=1e-5)


def test_another_input_shape_than_described_is_an_error(
    runtime: tuple[Device, Format], tiny_artifacts: dict[Format, Artifact]
) -> None:
    device, kind = runtime
    true = tiny_artifacts[kind]
    wrong = Artifact(true.path, kind, "float32", (3, 8, 8), true.sha256)
    with pytest.raises(DeviceError, match="it should take one"):
        device.open(wrong)
    assert "it should take one" in str(device.measure(wrong, SETTINGS).error)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.99])
def test_truncated_file_is_a_row(
    runtime: tuple[Device, Format], tiny_artifacts: dict[Format, Artifact], share: float, tmp_path: Path
) -> None:
    device, kind = runtime
    content = tiny_artifacts[kind].path.read_bytes()
    artifact = changed(tiny_artifacts[kind], content[: int(len(content) * share)], tmp_path)
    assert device.measure(artifact, SETTINGS).error


def test_damaged_file_never_ends_the_run(
    runtime: tuple[Device, Format], tiny_artifacts: dict[Format, Artifact], tmp_path: Path
) -> None:
    device, kind = runtime
    content = np.frombuffer(tiny_artifacts[kind].path.read_bytes(), dtype=np.uint8)
    rng = np.random.default_rng(0)
    for _ in range(20):
        damaged = content.copy()
        damaged[rng.integers(0, len(content), size=20)] = rng.integers(0, 256, size=20)
        measurement = device.measure(changed(tiny_artifacts[kind], damaged.tobytes(), tmp_path), SETTINGS)
        assert measurement.ok == (measurement.error is None)
    assert device.measure(tiny_artifacts[kind], SETTINGS).ok


def test_integers_stand_for_values_by_scale_and_zero_point() -> None:
    tensor = {"dtype": np.int8, "quantization": (0.5, 3)}
    values = np.array([[-1.0, 0.0, 1.2, 1000.0, -1000.0]], dtype=np.float32)
    stored = _quantised(values, tensor)
    assert stored.tolist() == [[1, 3, 5, 127, -128]]
    assert _dequantised(stored, tensor).tolist() == [[-1.0, 0.0, 1.0, 62.0, -65.5]]
    assert _quantised(values, {"dtype": np.float32}) is not None
