from __future__ import annotations

import numpy as np
import pytest

from latency_predictors import FeaturePredictor, PredictorError
from search_spaces import Network


def test_seed_decides_the_trees(measured: tuple[list[Network], np.ndarray]) -> None:
    first, second, other = (FeaturePredictor(trees=20, seed=seed).fit(*measured) for seed in (1, 1, 2))
    networks = measured[0]
    assert (first.predict(networks) == second.predict(networks)).all()
    assert (first.predict(networks) != other.predict(networks)).any()


@pytest.mark.parametrize("option", ["trees", "learning_rate", "depth"])
def test_sizes_must_be_positive(option: str) -> None:
    with pytest.raises(PredictorError, match=f"{option} is 0; give a positive number"):
        FeaturePredictor(**{option: 0})
