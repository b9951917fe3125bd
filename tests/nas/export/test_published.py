"""Published networks as files: both runtimes compute what the module computes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from devices import get_device
from nas.export import export_artifacts
from search_spaces import get_published, published_names
from supernet import random_network

# The others of their families have every kind of layer that these have.
BETWEEN = {
    *(f"attentivenas_a{number}" for number in range(6)),
    *(f"fbnet_{name}" for name in ("a", "b")),
    "mnasnet_b1",
    *(f"mobilenetv2_{width}" for width in (0.5, 0.75, 1.3, 1.4)),
    *(f"mcunet_{name}" for name in ("10fps", "5fps", "512kb")),
    *(f"proxylessnas_{name}" for name in ("cpu", "gpu")),
}
DEVICES = {"onnx": "onnxruntime_cpu", "tflite": "litert_cpu"}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(published_names()) - BETWEEN))
def test_files_equal_the_module(name: str, tmp_path: Path) -> None:
    """Float32 to 1e-4 of the largest logit; INT8 correlated above 0.75.

    The weights are untrained. MCUNet's layers have as few as 8 channels, and are rounded most: both runtimes, which are
    quantised by different tools, are at 0.86 there, where MobileNetV2 is at 0.98.
    """
    published = get_published(name)
    network = published.space.lower(published.architecture)
    module = random_network(network, 0)
    weights: dict[str, Any] = module.deployed_weights()
    # Calibration takes memory and time by the pixel; small networks for small images are rounded most.
    count = 32 if network.input.shape[-1] < 200 else 2
    images = np.random.default_rng(0).standard_normal((count, *network.input.shape), dtype=np.float32)
    with torch.no_grad():
        expected = module(torch.from_numpy(images[:2])).numpy()
    for (kind, precision), artifact in export_artifacts(network, weights, tmp_path, images).items():
        device = get_device(DEVICES[kind])
        if device.unavailable_reason():
            continue
        with device.open(artifact) as model:
            found = np.asarray(model.predict(images[:2]))
        if precision == "float32":
            assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max(), artifact.path.name
        else:
            assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.75, artifact.path.name
        artifact.path.unlink()
