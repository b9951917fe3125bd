"""Random members of every kind of space, small: files of both formats against the module."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nas.export import write_onnx, write_onnx_int8, write_tflite, write_tflite_int8
from search_spaces import Network, get_space

SPACES: list[tuple[str, dict[str, Any], int]] = [  # with how many members to try
    ("ofa_resnet50", {"resolutions": [64], "widths": [0.5]}, 1),
    ("resnet", {"resolutions": [64], "widths": [0.5]}, 1),
    ("resnet_32", {"resolutions": [20]}, 2),
    ("attentivenas", {"resolutions": [64]}, 1),
    ("attentivenas_32", {"resolutions": [16]}, 2),
    ("efficientformer", {"resolutions": [64]}, 1),
    ("efficientformer_32", {}, 3),
]


@dataclass(frozen=True)
class Files:
    """Writes a network in both formats and precisions, and runs the files."""

    reference: ModuleType
    runs: dict[str, Callable[..., NDArray[np.float32]]]
    folder: Path

    def check(self, network: Network) -> None:
        """float32 files are within 1e-4 of torch, relative to the largest logit, and INT8 files near it."""
        rng = np.random.default_rng(1)
        images = rng.standard_normal((8, *network.input.shape), dtype=np.float32)
        weights = self.reference.normalised_weights(network, rng, images)
        expected = self.reference.forward(network, weights, images).numpy()
        size = np.abs(expected).max()
        write_onnx(network, weights, self.folder / "model.onnx")
        write_tflite(network, weights, self.folder / "model.tflite")
        write_onnx_int8(network, weights, self.folder / "model.int8.onnx", images)
        write_tflite_int8(network, weights, self.folder / "model.int8.tflite", images)
        for suffix, run in self.runs.items():
            exact, rounded = (run(self.folder / f"model{kind}.{suffix}", images) for kind in ("", ".int8"))
            np.testing.assert_allclose(exact / size, expected / size, atol=1e-4)
            assert np.mean((rounded - expected) ** 2) < 0.1 * np.mean(expected**2), suffix


@pytest.fixture
def files(reference: ModuleType, run_onnx: Any, run_tflite: Any, tmp_path: Path) -> Files:
    return Files(reference, {"onnx": run_onnx, "tflite": run_tflite}, tmp_path)


@pytest.mark.parametrize(("name", "options", "members"), SPACES)
def test_random_members_are_written_exactly(name: str, options: dict[str, Any], members: int, files: Files) -> None:
    space, rng = get_space(name, {"classes": 10, **options}), np.random.default_rng(0)
    for _ in range(members):
        files.check(space.lower(space.sample(rng)))
