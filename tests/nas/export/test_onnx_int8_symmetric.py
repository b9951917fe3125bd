"""The INT8 files that TensorRT reads: what its parser asks for, and that the results stay right."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from nas.config import make_config
from nas.errors import NasError
from nas.export import STANDARD_VARIANTS, write_onnx_int8
from nas.stages.targets import make_targets
from search_spaces import get_space
from supernet import random_network


@pytest.fixture(scope="module")
def file(trained: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx_int8_symmetric") / "model.onnx"
    write_onnx_int8(trained.network, trained.weights, path, trained.calibration, symmetric=True)
    return path


def check_symmetric(path: Path) -> None:
    """Every tensor that is quantised is int8 with zero point 0, and nothing but weights and activations is."""
    graph = onnx.load(path).graph
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    rounding = [node for node in graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    assert rounding
    for node in rounding:
        assert values[node.input[1]].dtype == np.float32 and (values[node.input[1]] > 0).all()
        zero = values[node.input[2]]
        assert zero.dtype == np.int8 and not zero.any(), node.name
    assert {value.dtype for value in values.values()} <= {np.dtype(kind) for kind in (np.float32, np.int8, np.int64)}


def test_zero_points_are_zero(file: Path) -> None:
    onnx.checker.check_model(onnx.load(file), full_check=True)
    check_symmetric(file)


def test_accuracy_is_kept(trained: Any, run_onnx: Any, file: Path) -> None:
    logits = run_onnx(file, trained.images)
    found, float32 = (np.mean(values.argmax(1) == trained.labels) for values in (logits, trained.logits))
    assert found >= float32 - 0.02
    assert np.mean((logits - trained.logits) ** 2) < 0.03 * np.mean(trained.logits**2)


def test_every_operation_can_be_quantised(reference: ModuleType, run_onnx: Any, tmp_path: Path) -> None:
    network = reference.every_operation()
    rng = np.random.default_rng(0)
    weights = reference.random_weights(network, rng)
    images = rng.standard_normal((32, *network.input.shape), dtype=np.float32)
    write_onnx_int8(network, weights, tmp_path / "model.onnx", images, symmetric=True)
    check_symmetric(tmp_path / "model.onnx")
    expected = reference.forward(network, weights, images).numpy()
    assert np.mean((run_onnx(tmp_path / "model.onnx", images) - expected) ** 2) < 0.5 * np.mean(expected**2)


@pytest.mark.parametrize("name", ["mobilenetv3_32", "efficientformer_32", "resnet_32"])
def test_spaces_can_be_written(name: str, run_onnx: Any, tmp_path: Path) -> None:
    space = get_space(name)
    network = space.lower(space.smallest())
    module = random_network(network, 0)
    images = np.random.default_rng(0).standard_normal((8, *network.input.shape), dtype=np.float32)
    write_onnx_int8(network, module.deployed_weights(), tmp_path / "model.onnx", images, symmetric=True)
    check_symmetric(tmp_path / "model.onnx")
    with torch.no_grad():
        expected = module(torch.from_numpy(images)).numpy()
    assert np.mean((run_onnx(tmp_path / "model.onnx", images) - expected) ** 2) < 0.5 * np.mean(expected**2)


def test_it_is_written_for_the_targets_that_ask_for_it() -> None:
    assert ("onnx", "int8_symmetric") not in STANDARD_VARIANTS
    values: dict[str, Any] = {
        "space": {"name": "mobilenetv3_32"},
        "data": {"source": "digits"},
        "targets": [{"name": "chip", "device": "fake", "precision": "int8_symmetric"}],
    }
    config = make_config(values)
    assert config.deployed_bits == 8
    assert make_targets(config)[0].variant == ("onnx", "int8_symmetric")
    values["targets"][0]["format"] = "tflite"
    with pytest.raises(NasError, match="written in int8_symmetric; set its precision: float32 or int8"):
        make_targets(make_config(values))
