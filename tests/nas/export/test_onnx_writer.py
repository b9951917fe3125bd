from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import pytest

from nas.export import write_onnx
from search_spaces import get_space


@pytest.mark.parametrize("size", [14, 15, 16])
def test_every_operation_equals_torch(reference: ModuleType, run_onnx: Any, tmp_path: Path, size: int) -> None:
    network = reference.every_operation(size)
    rng = np.random.default_rng(size)
    weights = reference.random_weights(network, rng)
    images = rng.standard_normal((3, *network.input.shape), dtype=np.float32)
    write_onnx(network, weights, tmp_path / "model.onnx")
    expected = reference.forward(network, weights, images).numpy()
    np.testing.assert_allclose(run_onnx(tmp_path / "model.onnx", images), expected, atol=1e-4)


def test_the_file_is_valid_and_says_what_it_is(reference: ModuleType, tmp_path: Path) -> None:
    network = reference.every_operation()
    write_onnx(network, reference.random_weights(network, np.random.default_rng(0)), tmp_path / "model.onnx")
    model = onnx.load(tmp_path / "model.onnx")
    onnx.checker.check_model(model, full_check=True)
    (entry,), (result,) = model.graph.input, model.graph.output
    assert (entry.name, [d.dim_value for d in entry.type.tensor_type.shape.dim]) == ("image", [1, 3, 14, 14])
    assert (result.name, [d.dim_value for d in result.type.tensor_type.shape.dim]) == ("logits", [1, 7])
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 17)]
    assert "body.max_even" not in {node.name for node in model.graph.node}, "a dead end was written"


def test_a_file_of_224_px(reference: ModuleType, run_onnx: Any, tmp_path: Path) -> None:
    space = get_space("mobilenetv3", {"resolutions": [224], "classes": 50})
    network = space.lower(space.smallest())
    rng = np.random.default_rng(0)
    weights = reference.random_weights(network, rng)
    images = rng.standard_normal((1, 3, 224, 224), dtype=np.float32)
    write_onnx(network, weights, tmp_path / "model.onnx")
    expected = reference.forward(network, weights, images).numpy()
    np.testing.assert_allclose(run_onnx(tmp_path / "model.onnx", images), expected, atol=1e-4, rtol=1e-5)
