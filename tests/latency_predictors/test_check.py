from __future__ import annotations

import numpy as np
import pytest

from latency_predictors import (
    BlockTablePredictor,
    CostModelPredictor,
    PredictorError,
    check_predictor,
    cross_validate,
    fit_checked,
    score,
    select_predictor,
)
from search_spaces import Network, get_space

Data = tuple[list[Network], np.ndarray]


class Spy(CostModelPredictor):
    """Remembers which networks it was fitted on."""

    seen: list[set[str]]

    def fit(self, networks, latencies_s):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
        self.seen.append({network.key for network in networks})
        return super().fit(networks, latencies_s)

    def predict(self, networks):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
        assert not self.seen[-1] & {network.key for network in networks}
        return super().predict(networks)


def test_nothing_is_predicted_by_a_predictor_that_saw_it(measured: Data) -> None:
    Spy.seen = []
    held_out = cross_validate(Spy, *measured, np.random.default_rng(0), folds=4)
    assert len(Spy.seen) == 4
    assert (held_out.measured_s == measured[1]).all()
    assert (held_out.predicted_s > 0).all()


def test_checks_are_a_function_of_the_generator(measured: Data) -> None:
    first, second = (check_predictor(CostModelPredictor, *measured, np.random.default_rng(3)) for _ in range(2))
    assert first == second


def test_fit_checked_gives_scores_of_what_the_intervals_rest_on(measured: Data) -> None:
    predictor, scores = fit_checked(BlockTablePredictor, *measured, np.random.default_rng(0))
    assert predictor.held_out_ is not None
    assert predictor.held_out_.scores == scores
    assert scores.count == len(measured[0])


def test_selection_prefers_the_better_predictor(measured: Data, unseen: Data) -> None:
    names = ["block_table", "cost_model"]
    predictor, scores = select_predictor(names, *measured, np.random.default_rng(0))
    assert list(scores) == names
    close = [name for name in names if scores[name].spearman >= max(s.spearman for s in scores.values()) - 0.005]
    assert predictor.name == min(close, key=lambda name: scores[name].mape)
    assert score(predictor.predict(unseen[0]), unseen[1]).passes(min_spearman=0.97, max_mape=0.1)


def test_noise_does_not_pass() -> None:
    rng = np.random.default_rng(0)
    space = get_space("mobilenetv3_32")
    networks = [space.lower(space.sample(rng)) for _ in range(40)]
    noise = rng.lognormal(-7, 1, 40)
    scores = check_predictor(CostModelPredictor, networks, noise, np.random.default_rng(0))
    assert not scores.passes()


def test_as_few_networks_as_can_be_checked(measured: Data) -> None:
    networks, latencies = measured
    held_out = cross_validate(CostModelPredictor, networks[:6], latencies[:6], np.random.default_rng(0), folds=2)
    assert held_out.scores.count == 6
    with pytest.raises(PredictorError, match="measure at least 6"):
        cross_validate(CostModelPredictor, networks[:5], latencies[:5], np.random.default_rng(0))


def test_bad_requests_are_refused(measured: Data) -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(PredictorError, match="folds is 1; give at least 2"):
        cross_validate(CostModelPredictor, *measured, rng, folds=1)
    with pytest.raises(PredictorError, match="name at least one"):
        select_predictor([], *measured, rng)
    with pytest.raises(PredictorError, match="no predictor 'oracle'"):
        select_predictor(["oracle"], *measured, rng)
