from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingRegressor

from latency_predictors import FeaturePredictor, PredictorError
from latency_predictors.boosting import sum_of_trees, tree_arrays
from search_spaces import Network


def test_trees_as_arrays_are_the_model() -> None:
    rng = np.random.default_rng(0)
    matrix, target = rng.lognormal(10, 2, (60, 7)), rng.normal(size=60)
    model = GradientBoostingRegressor(n_estimators=30, init="zero", random_state=0).fit(matrix, target)
    other = rng.lognormal(10, 2, (200, 7))
    np.testing.assert_allclose(sum_of_trees(other, tree_arrays(model)), model.predict(other), rtol=1e-12, atol=1e-12)


def test_seed_decides_the_trees(measured: tuple[list[Network], np.ndarray]) -> None:
    first, second, other = (FeaturePredictor(trees=20, seed=seed).fit(*measured) for seed in (1, 1, 2))
    networks = measured[0]
    assert (first.predict(networks) == second.predict(networks)).all()
    assert (first.predict(networks) != other.predict(networks)).any()


@pytest.mark.parametrize("option", ["trees", "learning_rate", "depth"])
def test_sizes_must_be_positive(option: str) -> None:
    with pytest.raises(PredictorError, match=f"{option} is 0; give a positive number"):
        FeaturePredictor(**{option: 0})
