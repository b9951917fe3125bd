from __future__ import annotations

import importlib
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from nas.export import ExportError, write_tflite_int8
from search_spaces import NetworkBuilder


@pytest.fixture(scope="module")
def file(trained: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tflite_int8") / "model.tflite"
    write_tflite_int8(trained.network, trained.weights, path, trained.calibration)
    return path


def test_accuracy_is_kept(trained: Any, run_tflite: Any, file: Path) -> None:
    logits = run_tflite(file, trained.images)
    found, float32 = (np.mean(values.argmax(1) == trained.labels) for values in (logits, trained.logits))
    assert float32 > 0.9
    assert found >= float32 - 0.01
    assert np.mean((logits - trained.logits) ** 2) < 0.01 * np.mean(trained.logits**2)


def test_every_tensor_between_input_and_output_is_an_integer(file: Path) -> None:
    interpreter = Interpreter(str(file))
    floats = [t["name"] for t in interpreter.get_tensor_details() if t["dtype"] is np.float32]
    boundaries = [interpreter.get_input_details()[0], interpreter.get_output_details()[0]]
    assert sorted(floats) == sorted(tensor["name"] for tensor in boundaries)
    assert interpreter.get_signature_list() == {"serving_default": {"inputs": ["image"], "outputs": ["logits"]}}


def test_convolutions_have_a_scale_for_every_channel(file: Path) -> None:
    interpreter = Interpreter(str(file))
    convolutions = [
        t for t in interpreter.get_tensor_details() if t["name"].endswith(".weight") and len(t["shape"]) == 4
    ]
    assert convolutions
    for tensor in convolutions:
        assert len(tensor["quantization_parameters"]["scales"]) in (tensor["shape"][0], tensor["shape"][-1])
        assert len(tensor["quantization_parameters"]["scales"]) > 1


def test_xnnpack_takes_the_whole_network(file: Path) -> None:
    interpreter = Interpreter(str(file), num_threads=1)
    interpreter.allocate_tensors()
    kinds = Counter(operator["op_name"] for operator in interpreter._get_ops_details())
    if not kinds["DELEGATE"]:
        pytest.skip("this build of the runtime has no XNNPACK")
    assert kinds["DELEGATE"] == 1
    assert not kinds["HARD_SWISH"]
    assert not kinds["TRANSPOSE"]


def test_every_operation_can_be_quantised(reference: ModuleType, run_tflite: Any, tmp_path: Path) -> None:
    network = reference.every_operation()
    rng = np.random.default_rng(0)
    weights = reference.random_weights(network, rng)
    images = rng.standard_normal((32, *network.input.shape), dtype=np.float32)
    write_tflite_int8(network, weights, tmp_path / "model.tflite", images)
    expected = reference.forward(network, weights, images).numpy()
    found = run_tflite(tmp_path / "model.tflite", images)
    assert np.mean((found - expected) ** 2) < 0.3 * np.mean(expected**2)


@pytest.mark.parametrize("side", [1, 2, 3, 4])
def test_windows_wider_than_the_map_can_be_quantised(
    reference: ModuleType, run_tflite: Any, tmp_path: Path, side: int
) -> None:
    """Columns of a kernel that lie on padding alone would be all zeros, which have no scale."""
    builder = NetworkBuilder((8, side, side))
    x = builder.activation("activation", builder.depthwise("depthwise", builder.input, 7), "relu6")
    builder.flatten("flatten", builder.global_pool("pool", x))
    network = builder.build()
    rng = np.random.default_rng(0)
    weights = reference.random_weights(network, rng)
    images = rng.standard_normal((32, *network.input.shape), dtype=np.float32)
    write_tflite_int8(network, weights, tmp_path / "model.tflite", images)
    expected = reference.forward(network, weights, images).numpy()
    found = run_tflite(tmp_path / "model.tflite", images)
    assert np.mean((found - expected) ** 2) < 0.01 * np.mean(expected**2)


def test_nothing_is_printed(trained: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_tflite_int8(trained.network, trained.weights, tmp_path / "model.tflite", trained.calibration[:4])
    out, error = capfd.readouterr()
    assert out == ""
    assert "Transformations" not in error


def test_a_missing_quantiser_is_explained(monkeypatch: pytest.MonkeyPatch, trained: Any, tmp_path: Path) -> None:
    found = importlib.import_module

    def missing(name: str) -> ModuleType:
        if name.startswith("ai_edge_quantizer"):
            raise ModuleNotFoundError(f"No module named {name!r}")
        return found(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ExportError, match="pip install ai-edge-quantizer"):
        write_tflite_int8(trained.network, trained.weights, tmp_path / "model.tflite", trained.calibration)
    assert not list(tmp_path.iterdir())
