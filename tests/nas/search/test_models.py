"""What the searches' models learn of a table of known effects."""

from __future__ import annotations

import json

import numpy as np
import pytest
from numpy.typing import NDArray

from nas.search.additive import AdditiveModel
from nas.search.encoding import one_hot
from nas.search.kernel_model import KernelModel
from nas.search.rows import Indices
from search_spaces import SearchSpace, get_space


@pytest.fixture(scope="module")
def table() -> tuple[SearchSpace, Indices, NDArray[np.float64]]:
    """Rows with a sum of single effects."""
    space, rng = get_space("mobilenetv3_32"), np.random.default_rng(0)
    rows = space.sample_indices(rng, 600)
    x = one_hot(space, rows).astype(np.float64)
    single = x @ rng.standard_normal(x.shape[1])
    return space, rows, single


def test_encoding_is_that_of_the_space(space: SearchSpace) -> None:
    rows = space.sample_indices(np.random.default_rng(0), 40)
    assert (one_hot(space, rows) == space.encode(space.architectures(rows))).all()


def test_additive_model_finds_differences(table: tuple[SearchSpace, Indices, NDArray[np.float64]]) -> None:
    space, rows, single = table
    x = one_hot(space, rows)
    model = AdditiveModel(x.shape[1], 1)
    for start in range(0, 500, 50):
        model.tell(x[start : start + 50], single[start : start + 50, None])
    guessed = model.effects(x[500:])[:, 0]
    assert np.corrcoef(guessed, single[500:])[0, 1] > 0.99
    again = AdditiveModel(x.shape[1], 1)
    again.restore(json.loads(json.dumps(model.to_json())))
    assert (again.effects(x) == model.effects(x)).all()


def test_kernel_model_finds_pairs_that_sums_do_not_explain() -> None:
    space, rng = get_space("nasbench201"), np.random.default_rng(0)
    rows = rng.integers(0, 5, (500, 6))
    x = np.eye(5, dtype=np.float32)[rows].reshape(500, 30)
    values = np.stack([x @ rng.standard_normal(30), rng.standard_normal((5, 5))[rows[:, 0], rows[:, 5]]], axis=1)
    found = KernelModel(x[:400], values[:400], len(space.decisions)).predict(x[400:])
    ones = np.ones((500, 1), np.float32)
    sums = np.concatenate([x, ones], axis=1)
    explained = sums[400:] @ np.linalg.lstsq(sums[:400], values[:400], rcond=None)[0]
    assert np.abs(found[:, 0] - values[400:, 0]).max() < 0.1
    assert np.square(found - values[400:])[:, 1].sum() < 0.3 * np.square(explained - values[400:])[:, 1].sum()


def test_kernel_model_of_values_that_never_vary() -> None:
    x = np.eye(4, dtype=np.float32)
    model = KernelModel(x, np.full((4, 1), 7.0), 1)
    assert np.allclose(model.predict(x), 7.0)
    assert model.predict(x[:0]).shape == (0, 1)
