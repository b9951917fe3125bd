from __future__ import annotations

import numpy as np
from sklearn.ensemble import GradientBoostingRegressor

from latency_predictors.trees import TREE_ARRAYS, fit_trees, sum_of_trees, tree_arrays


def test_trees_as_arrays_are_the_model() -> None:
    rng = np.random.default_rng(0)
    matrix, target = rng.lognormal(10, 2, (60, 7)), rng.normal(size=60)
    model = GradientBoostingRegressor(n_estimators=30, init="zero", random_state=0).fit(matrix, target)
    other = rng.lognormal(10, 2, (200, 7))
    np.testing.assert_allclose(sum_of_trees(other, tree_arrays(model)), model.predict(other), rtol=1e-12, atol=1e-12)


def test_options_reach_the_trees() -> None:
    rng = np.random.default_rng(0)
    matrix, target = rng.normal(size=(60, 7)), rng.normal(size=60)
    made = fit_trees(matrix, target, trees=12, learning_rate=0.1, depth=2, seed=0)
    assert tuple(made) == TREE_ARRAYS
    assert {array.shape[0] for array in made.values()} == {12}
    assert made["feature"].shape[1] <= 2**3 - 1
    assert np.abs(sum_of_trees(matrix, made) - target).mean() < np.abs(target).mean()
