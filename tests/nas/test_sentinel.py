from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from devices import get_device
from nas.sentinel import sentinel_network, sentinel_weights, write_sentinel
from search_spaces import macs

VARIANTS = (("onnx", "float32"), ("tflite", "float32"), ("onnx", "int8"))


def test_sentinel_is_the_same_file_each_time_and_runs(tmp_path: Path) -> None:
    first, again = (write_sentinel(tmp_path / name, VARIANTS) for name in "ab")
    assert {v: a.sha256 for v, a in first.items()} == {v: a.sha256 for v, a in again.items()}
    images = np.random.default_rng(0).standard_normal((2, 3, 64, 64), np.float32)
    logits = {}
    for variant, artifact in first.items():
        device = get_device("onnxruntime_cpu" if variant[0] == "onnx" else "litert_cpu")
        with device.open(artifact) as model:
            logits[variant] = model.predict(images)
    np.testing.assert_allclose(logits["onnx", "float32"], logits["tflite", "float32"], atol=1e-4)
    assert 0.1 < np.abs(logits["onnx", "float32"]).max() < 100
    assert np.abs(logits["onnx", "int8"] - logits["onnx", "float32"]).max() < 1


def test_sentinel_never_changes() -> None:
    network = sentinel_network()
    assert macs(network) == 7_811_008
    total = sum(float(np.abs(weight).sum(dtype=np.float64)) for weight in sentinel_weights(network).values())
    assert total == pytest.approx(17795.789, rel=1e-6)
