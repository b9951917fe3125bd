from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from search_spaces import SearchSpace
from supernet import TrainData, TrainSettings, compute_deterministically, train


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    filled = torch.utils.deterministic.fill_uninitialized_memory
    yield
    torch.use_deterministic_algorithms(before[0], warn_only=before[1])
    torch.utils.deterministic.fill_uninitialized_memory = filled


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_nothing_is_read_that_was_not_written(
    tiny_space: SearchSpace, coloured_squares: TrainData, tmp_path: Path, precision: str
) -> None:
    """Where memory is filled with NaN before it is used, the same weights come out."""
    settings = TrainSettings(epochs=2, batch_size=16, threads=1, precision=precision)  # type: ignore[arg-type]
    compute_deterministically()
    assert torch.are_deterministic_algorithms_enabled() and torch.is_deterministic_algorithms_warn_only_enabled()
    assert not torch.utils.deterministic.fill_uninitialized_memory
    train(tiny_space, coloured_squares, settings, tmp_path / "as_it_is")
    torch.utils.deterministic.fill_uninitialized_memory = True
    train(tiny_space, coloured_squares, settings, tmp_path / "filled")
    names = ("as_it_is", "filled")
    found, expected = ((tmp_path / name / "weights.safetensors").read_bytes() for name in names)
    assert found == expected
