from __future__ import annotations

import numpy as np
import pytest

from latency_predictors.few_shot.plain import PlainMix


def made(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, 12)), rng.lognormal(0, 0.3, (count, 3))


def test_a_mix_with_a_constant_is_found_from_a_few_networks() -> None:
    features, mixed = made(8)
    fitted = PlainMix.fit(features, mixed, 0.2 + 0.5 * mixed[:, 1])
    np.testing.assert_allclose(fitted.shares, [0, 0.5, 0, 0.2], atol=1e-9)
    others = made(50, seed=1)
    np.testing.assert_allclose(fitted.relative(*others), 0.2 + 0.5 * others[1][:, 1], rtol=1e-6)


def test_features_explain_what_the_mix_leaves_over() -> None:
    features, mixed = made(60)
    weights = np.zeros(12)
    weights[3] = 0.05
    fitted = PlainMix.fit(features, mixed, mixed[:, 0] + features @ weights)
    others = made(50, seed=1)
    error = fitted.relative(*others) - others[1][:, 0] - others[0] @ weights
    assert np.abs(error).mean() < 0.3 * np.abs(others[0] @ weights).mean()


@pytest.mark.parametrize("count", [1, 2])
def test_next_to_nothing_measured_gives_positive_latencies(count: int) -> None:
    features, mixed = made(count)
    relative = PlainMix.fit(features, mixed, np.linspace(1, 2, count)).relative(*made(50, seed=1))
    assert np.isfinite(relative).all()
    assert (relative > 0).all()
