from __future__ import annotations

import numpy as np
import pytest

from latency_predictors import BlockTablePredictor, PredictorError, block_keys
from latency_predictors.table import count_blocks, shrunk_factors
from search_spaces import Network, get_space


def test_a_table_of_few_blocks_is_found_again() -> None:
    """Latencies that really are sums of block latencies, which no feature explains."""
    options = {"resolutions": [16], "widths": [0.5], "expansions": [2, 3], "kernels": [3, 5], "depths": [1, 2]}
    space = get_space("mobilenetv3_32", options)
    rng = np.random.default_rng(0)
    networks = [space.lower(space.sample(rng)) for _ in range(120)]
    price: dict[str, float] = {}
    latencies = np.array([sum(price.setdefault(k, rng.uniform(1, 9) * 1e-5) for k in block_keys(n)) for n in networks])
    predictor = BlockTablePredictor().fit(networks[:80], latencies[:80])
    assert predictor.coverage(networks[80:]) == 1.0
    np.testing.assert_allclose(predictor.predict(networks[80:]), latencies[80:], rtol=0.02)
    assert min(predictor.latency_s_.values()) >= 0


def test_unseen_blocks_cost_what_the_physical_model_says(measured: tuple[list[Network], np.ndarray]) -> None:
    predictor = BlockTablePredictor().fit(*measured)
    space = get_space("mobilenetv3")
    strange = [space.lower(space.smallest()), space.lower(space.largest())]
    assert predictor.coverage(strange) == 0.0
    small, large = predictor.predict(strange)
    assert 0 < small < large
    with pytest.raises(PredictorError, match="at least one"):
        predictor.coverage([])


def test_blocks_are_counted() -> None:
    space = get_space("mobilenetv3_32")
    networks = [space.lower(space.smallest()), space.lower(space.largest())]
    keys, counts, sums = count_blocks(networks)
    assert counts.shape == (2, len(keys))
    assert len(sums) == len(keys)
    assert counts.sum(axis=1).tolist() == [len(network.blocks) for network in networks]
    assert counts.max() == 2


def test_factors_stay_near_one_without_evidence() -> None:
    rng = np.random.default_rng(0)
    share = rng.random((30, 80)) / 40
    np.testing.assert_allclose(shrunk_factors(share, share.sum(axis=1)), 1.0)
    noisy = shrunk_factors(share, share.sum(axis=1) * rng.lognormal(0, 0.01, 30))
    assert np.abs(noisy - 1).max() < 0.3


def test_factors_are_never_negative() -> None:
    share = np.eye(6)
    factors = shrunk_factors(share, np.array([-5.0, 0.5, 1.0, 2.0, 3.0, -1.0]))
    assert (factors >= 0).all()
    assert factors[0] == factors[5] == 0
