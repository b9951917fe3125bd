"""The same results from the same work, without what PyTorch does beyond that."""

from __future__ import annotations

import torch


def compute_deterministically() -> None:
    """From now on this process computes the same from the same; an operation that cannot warns.

    PyTorch then also fills memory that nothing was written to yet, to show who reads it: nothing here does (a test
    compares), and on a CPU the filling was 18 % of a training step (the largest 32-px network, batch 128, two cores).
    """
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # not in its stub
