from __future__ import annotations

import numpy as np

from latency_predictors import CostModelPredictor, feature_matrix, feature_names
from latency_predictors.cost import TERMS, error_bound, fit_cost, predict_cost, trust
from search_spaces import Network


def test_exact_costs_are_found_again(measured: tuple[list[Network], np.ndarray]) -> None:
    matrix = feature_matrix(measured[0])
    column = feature_names().index
    latencies = (
        1e-5 + 2e-11 * matrix[:, column("pointwise.macs")] + 6e-10 * matrix[:, column("depthwise.macs.kernel_7")]
    )
    weights = fit_cost(matrix, latencies)
    assert (weights >= 0).all()
    np.testing.assert_allclose(predict_cost(matrix, weights), latencies, rtol=1e-6)


def test_the_slow_kernel_shows_in_the_coefficients(measured: tuple[list[Network], np.ndarray]) -> None:
    predictor = CostModelPredictor().fit(*measured)
    cost = predictor.seconds_per_unit()
    assert set(cost) <= {*TERMS, "constant"}
    assert cost["depthwise.macs.kernel_7"] > 3 * cost.get("depthwise.macs.kernel_3", 0.0)


def test_trust_falls_with_the_error() -> None:
    expected = np.ones(9)
    measured = np.array([1.0, 1.01, 0.99, 1.02, 0.98, 1.03, 0.97, 2.0, 10.0])
    trusted = trust(expected, measured)
    assert (trusted[:5] == 1).all()
    assert 1 > trusted[7] > trusted[8] > 0
    assert trust(np.zeros(9), measured).min() > 0
    assert error_bound(np.zeros(5)) > 0
