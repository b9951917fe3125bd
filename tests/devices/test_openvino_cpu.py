from __future__ import annotations

import numpy as np
import pytest

from devices import Artifact, DeviceError, Format, OnnxRuntimeCPU, OpenVinoCPU


def test_missing_runtime_is_a_reason_that_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise ModuleNotFoundError("No module named 'openvino'")

    monkeypatch.setattr("devices.openvino_cpu._runtime", missing)
    assert "pip install openvino" in str(OpenVinoCPU().unavailable_reason())
    assert OpenVinoCPU().info().runtime_version == "missing"


def test_computes_what_onnxruntime_does(tiny_artifacts: dict[Format, Artifact]) -> None:
    if reason := OpenVinoCPU().unavailable_reason() or OnnxRuntimeCPU().unavailable_reason():
        pytest.skip(reason)
    images = np.random.default_rng(1).standard_normal((3, 3, 16, 16), dtype=np.float32)
    artifact = tiny_artifacts["onnx"]
    with OpenVinoCPU().open(artifact) as one, OnnxRuntimeCPU().open(artifact) as other:
        np.testing.assert_allclose(one.predict(images), other.predict(images), rtol=1e-4, atol=1e-5)


def test_another_input_shape_than_described_is_an_error(tiny_artifacts: dict[Format, Artifact]) -> None:
    if reason := OpenVinoCPU().unavailable_reason():
        pytest.skip(reason)
    true = tiny_artifacts["onnx"]
    with pytest.raises(DeviceError, match="it should take one float image"):
        OpenVinoCPU().open(Artifact(true.path, "onnx", "float32", (3, 8, 8), true.sha256))
