"""Small tables in the form of the published ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
FBNET_OPERATIONS = ("k3_e1", "k3_e1_g2", "k3_e3", "k3_e6", "k5_e1", "k5_e1_g2", "k5_e3", "k5_e6", "skip")
CELLS = (
    (0, 0, 0, 0, 0, 0),  # nothing
    (1, 0, 0, 0, 1, 0),  # the input, by two skip connections
    (3, 0, 2, 0, 0, 1),  # 3x3, 1x1, skip
    (3, 2, 0, 0, 1, 0),  # the second operation leads nowhere
)


@pytest.fixture
def benchmarks(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder of the benchmark scripts, which their modules can be imported from."""
    folder = root / "experiments" / "benchmarks"
    monkeypatch.syspath_prepend(folder)
    return folder


@pytest.fixture
def small_tables(tmp_path: Path) -> Path:
    """Folder of a table of four cells and one of thirty FBNet networks, without latencies."""
    rng = np.random.default_rng(0)
    cells = np.array(CELLS, np.int8)
    sizes: NDArray[np.float32] = np.arange(1, 5, dtype=np.float32)
    np.savez(tmp_path / "nasbench201.npz", op_idx=cells, edge_order=np.array(EDGES), flops_m=sizes, params_m=sizes)
    np.savez(
        tmp_path / "fbnet.npz",
        op_idx=rng.integers(0, 9, (30, 22)).astype(np.int8),
        op_names=np.array(FBNET_OPERATIONS),
        zcp_name=np.array(["synflow", "grasp"]),
        zcp=rng.random((30, 2)),
    )
    return tmp_path
