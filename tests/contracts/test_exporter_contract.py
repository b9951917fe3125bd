"""What every writer of model files promises, run over every variant that can be written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from devices import Artifact, get_device
from nas.export import FILE_NAMES, STANDARD_VARIANTS, export_artifacts
from nas.export.artifacts import Variant
from nas.stages.judge import RUNTIMES
from search_spaces import get_space, space_names
from supernet import random_network

VARIANTS = [pytest.param(variant, id="-".join(variant)) for variant in STANDARD_VARIANTS]
FLOAT = [pytest.param(variant, id="-".join(variant)) for variant in FILE_NAMES if variant[1] == "float32"]


def predict(artifact: Artifact, images: NDArray[np.float32]) -> NDArray[np.float32]:
    device = get_device(RUNTIMES[artifact.format])
    reason = device.unavailable_reason()
    if reason:
        pytest.skip(reason)
    with device.open(artifact) as model:
        return np.asarray(model.predict(images))


@pytest.mark.parametrize("variant", FLOAT)
@pytest.mark.parametrize("part", range(5))
def test_float32_files_equal_the_module(variant: Variant, part: int, tmp_path: Path) -> None:
    """50 random architectures, ten at a time."""
    rng = np.random.default_rng(part)
    space = get_space("mobilenetv3_32")
    for index in range(10):
        network = space.lower(space.sample(rng))
        module = random_network(network, index)
        images = rng.standard_normal((1, *network.input.shape), dtype=np.float32)
        with torch.no_grad():
            expected = module(torch.from_numpy(images)).numpy()
        artifacts = export_artifacts(network, module.deployed_weights(), tmp_path, images, [variant])
        np.testing.assert_allclose(predict(artifacts[variant], images), expected, atol=1e-4)


@pytest.mark.parametrize("name", space_names())
def test_every_space_can_be_written(name: str, tmp_path: Path) -> None:
    space = get_space(name)
    network = space.lower(space.smallest())
    module = random_network(network, 0)
    # Calibration takes time by the pixel.
    count = 8 if network.input.shape[-1] < 100 else 4
    images = np.random.default_rng(0).standard_normal((count, *network.input.shape), dtype=np.float32)
    with torch.no_grad():
        expected = module(torch.from_numpy(images)).numpy()
    artifacts = export_artifacts(network, module.deployed_weights(), tmp_path, images, STANDARD_VARIANTS)
    assert artifacts.keys() == set(STANDARD_VARIANTS)
    for (_, precision), artifact in artifacts.items():
        found = predict(artifact, images)
        assert found.shape == expected.shape
        assert found.dtype == np.float32
        error = np.mean((found - expected) ** 2) / np.mean(expected**2)
        # Untrained, a deep network eight channels wide loses a quarter of its signal to 8 bits, in both runtimes alike.
        assert error < (1e-8 if precision == "float32" else 0.3), artifact.path.name


@pytest.mark.parametrize("variant", VARIANTS)
def test_equal_inputs_give_equal_bytes(variant: Variant, tmp_path: Path) -> None:
    space = get_space("mobilenetv3_32")
    network = space.lower(space.smallest())
    weights = random_network(network, 0).deployed_weights()
    images = np.random.default_rng(0).standard_normal((8, *network.input.shape), dtype=np.float32)
    digests = {
        export_artifacts(network, weights, tmp_path / folder, images, [variant])[variant].sha256 for folder in "ab"
    }
    assert len(digests) == 1


@pytest.mark.parametrize("kind", ["onnx", "tflite"])
def test_int8_files_are_small(kind: str, tmp_path: Path) -> None:
    space = get_space("mobilenetv3_32")
    network = space.lower(space.largest())
    weights = random_network(network, 0).deployed_weights()
    images = np.random.default_rng(0).standard_normal((2, *network.input.shape), dtype=np.float32)
    variants: list[Variant] = [("onnx", "float32"), ("onnx", "int8"), ("tflite", "float32"), ("tflite", "int8")]
    chosen = [variant for variant in variants if variant[0] == kind]
    sizes = [a.path.stat().st_size for a in export_artifacts(network, weights, tmp_path, images, chosen).values()]
    assert sizes[1] < sizes[0] / 2.5
