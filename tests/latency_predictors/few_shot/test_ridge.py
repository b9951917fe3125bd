from __future__ import annotations

import numpy as np

from latency_predictors.few_shot.posterior import _non_negative
from latency_predictors.few_shot.ridge import fit_ridge, left_out_density


def test_groups_that_do_not_matter_are_given_no_variance() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(200, 30))
    group = np.repeat([0, 1, 2], 10)
    response = 3 + features[:, :10] @ rng.normal(size=10) + 0.1 * rng.normal(size=200)
    fit = fit_ridge(features - features.mean(axis=0), group, response, rounds=30)
    assert fit.variances[0] > 100 * fit.variances[1:].max()
    assert 0.05 < np.sqrt(fit.noise) < 0.2


def test_left_out_densities_are_those_of_fits_to_the_others() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(30, 3))
    features -= features.mean(axis=0)
    response = features.sum(axis=1) + 0.3 * rng.normal(size=30)
    fit = fit_ridge(features, np.zeros(3, np.intp), response, rounds=20)
    found = left_out_density(fit, features, response)
    precision = np.diag(np.append(1 / fit.variances[[0, 0, 0]], 1e-9))
    for index in range(3):
        others = np.delete(np.arange(30), index)
        rows = np.append(features, np.ones((30, 1)), axis=1)
        covariance = np.linalg.inv(rows[others].T @ rows[others] / fit.noise + precision)
        mean = rows[index] @ covariance @ rows[others].T @ response[others] / fit.noise
        variance = fit.noise + rows[index] @ covariance @ rows[index]
        expected = -0.5 * ((response[index] - mean) ** 2 / variance + np.log(2 * np.pi * variance))
        np.testing.assert_allclose(found[index], expected, rtol=1e-4)


def test_non_negative_minimisers_meet_their_conditions() -> None:
    rng = np.random.default_rng(0)
    roots = rng.normal(size=(20, 6, 4))
    gram, moment = np.einsum("hik,hil->hkl", roots, roots), rng.normal(size=(20, 4))
    shares = _non_negative(gram, moment)
    slope = np.einsum("hkl,hl->hk", gram, shares) - moment
    assert (shares >= 0).all()
    assert (slope > -1e-3).all()
    assert np.abs(slope * shares).max() < 1e-2
