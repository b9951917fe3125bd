from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from nas.export import ExportError, write_onnx_int8
from search_spaces import NetworkBuilder


@pytest.fixture(scope="module")
def file(trained: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx_int8") / "model.onnx"
    write_onnx_int8(trained.network, trained.weights, path, trained.calibration)
    return path


def test_accuracy_is_kept(trained: Any, run_onnx: Any, file: Path) -> None:
    logits = run_onnx(file, trained.images)
    found, float32 = (np.mean(values.argmax(1) == trained.labels) for values in (logits, trained.logits))
    assert float32 > 0.9
    assert found >= float32 - 0.01
    assert np.mean((logits - trained.logits) ** 2) < 0.01 * np.mean(trained.logits**2)


def test_only_integer_kernels_run(file: Path, tmp_path: Path) -> None:
    """In the graph as the runtime executes it, the input is rounded once and nothing goes back to float32."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    kinds = Counter(node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node)
    moves = {"Transpose", "Reshape", "Squeeze"}
    assert {kind for kind in kinds if not kind.startswith("Q")} <= moves
    assert kinds["QuantizeLinear"] == 1
    # A hard swish is a sum and a product; three gates and three residuals come on top.
    assert (kinds["QLinearAdd"], kinds["QLinearMul"]) == (8 + 3, 8 + 3)


def test_input_and_output_are_as_in_float32(file: Path) -> None:
    model = onnx.load(file)
    onnx.checker.check_model(model, full_check=True)
    for value, name in ((model.graph.input[0], "image"), (model.graph.output[0], "logits")):
        assert (value.name, value.type.tensor_type.elem_type) == (name, onnx.TensorProto.FLOAT)
        assert value.type.tensor_type.shape.dim[0].dim_value == 1


def test_weights_have_a_scale_per_channel_and_take_a_byte(trained: Any, file: Path) -> None:
    tensors = {tensor.name: tensor for tensor in onnx.load(file).graph.initializer}
    weight = tensors["blocks.0.expand.weight_quantized"]
    assert weight.data_type == onnx.TensorProto.INT8
    assert list(tensors["blocks.0.expand.weight_scale"].dims) == [48]
    assert not any(name in tensors for name in trained.weights), "a float32 weight is still in the file"


def test_every_operation_can_be_quantised(reference: ModuleType, run_onnx: Any, tmp_path: Path) -> None:
    network = reference.every_operation()
    rng = np.random.default_rng(0)
    weights = reference.random_weights(network, rng)
    images = rng.standard_normal((32, *network.input.shape), dtype=np.float32)
    write_onnx_int8(network, weights, tmp_path / "model.onnx", images)
    expected = reference.forward(network, weights, images).numpy()
    found = run_onnx(tmp_path / "model.onnx", images)
    assert np.mean((found - expected) ** 2) < 0.3 * np.mean(expected**2)


def test_a_gate_may_be_the_output(reference: ModuleType, run_onnx: Any, tmp_path: Path) -> None:
    b = NetworkBuilder((3, 8, 8))
    b.activation("gate", b.conv("conv", b.input, 4, 3), "hard_sigmoid")
    network = b.build()
    rng = np.random.default_rng(0)
    weights = reference.random_weights(network, rng)
    images = rng.standard_normal((8, 3, 8, 8), dtype=np.float32)
    write_onnx_int8(network, weights, tmp_path / "model.onnx", images)
    expected = reference.forward(network, weights, images).numpy()
    np.testing.assert_allclose(run_onnx(tmp_path / "model.onnx", images), expected, atol=0.03)


@pytest.mark.parametrize("images", [np.zeros((0, 3, 16, 16)), np.zeros((4, 3, 8, 8)), np.zeros((3, 16, 16))])
def test_images_that_do_not_fit_are_refused(trained: Any, tmp_path: Path, images: np.ndarray) -> None:
    with pytest.raises(ExportError, match=r"give at least one normalised image of shape \(3, 16, 16\)"):
        write_onnx_int8(trained.network, trained.weights, tmp_path / "model.onnx", images.astype(np.float32))


def test_images_must_be_finite(trained: Any, tmp_path: Path) -> None:
    images = np.full((2, 3, 16, 16), np.nan, np.float32)
    with pytest.raises(ExportError, match="not finite"):
        write_onnx_int8(trained.network, trained.weights, tmp_path / "model.onnx", images)
    assert not list(tmp_path.iterdir())
