from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from devices import get_device
from nas.export import export_artifacts
from nas.stages.lent import Lent
from search_spaces import get_space
from supernet import SubnetEvaluator, Supernet
from supernet.data import DataSettings, load_images, measure_preprocessing

OPTIONS = {
    "classes": 10, "resolutions": [8, 12], "widths": [0.5, 0.75], "kernels": [3, 5], "expansions": [2, 3],
    "depths": [1, 2],
}  # fmt: skip
VARIANTS = (("onnx", "int8"),)


@pytest.fixture(scope="module")
def evaluator() -> SubnetEvaluator:
    data = load_images(DataSettings("digits", limit=300))
    preprocessing = measure_preprocessing(data.images, np.arange(200))
    supernet = Supernet(get_space("mobilenetv3_32", OPTIONS), seed=0)
    return SubnetEvaluator(supernet, data, preprocessing, np.arange(100), np.arange(200, 250))


def test_the_largest_network_lends_to_all_others(evaluator: SubnetEvaluator, tmp_path: Path) -> None:
    space = evaluator.supernet.space
    calibration = torch.randn(16, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    lent = Lent(evaluator, calibration, VARIANTS)
    largest = space.lower(space.canonical(space.largest()))
    own = evaluator.extract(largest).deployed_weights()
    borrowed = lent.weights(largest)
    assert set(own) == set(borrowed)
    assert all(np.array_equal(own[name], borrowed[name]) for name in own)
    smallest = space.lower(space.canonical(space.smallest()))
    made = export_artifacts(smallest, lent.weights(smallest), tmp_path, lent.ranges, VARIANTS)
    shape = smallest.input.shape
    with get_device("onnxruntime_cpu").open(made["onnx", "int8"]) as model:
        assert np.isfinite(model.predict(np.ones((1, *shape), np.float32))).all()
