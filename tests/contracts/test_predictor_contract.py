"""What every latency predictor promises, run over every predictor in the registry."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from latency_predictors import (
    LatencyPredictor,
    PredictorError,
    fit_checked,
    get_predictor,
    load_predictor,
    predictor_names,
    save_predictor,
    score,
)
from search_spaces import Network, get_space, node_macs
from search_spaces.network import Conv

Data = tuple[list[Network], NDArray[np.float64]]


def made_up_latency(network: Network) -> float:
    """Launches cost time, and depthwise work costs more the larger the kernel."""
    seconds = 20e-6
    for node in network.nodes[1:]:
        rate = 2e-11 * node.op.kernel if isinstance(node.op, Conv) and node.op.depthwise else 2e-11
        seconds += 1e-6 + rate * node_macs(network, node)
    return seconds


def make_data(count: int, seed: int) -> Data:
    rng = np.random.default_rng(seed)
    space = get_space("mobilenetv3_32")
    networks = [space.lower(space.sample(rng)) for _ in range(count)]
    return networks, np.array([made_up_latency(network) for network in networks]) * rng.lognormal(0, 0.02, count)


@pytest.fixture(scope="module")
def seen() -> Data:
    return make_data(40, seed=0)


@pytest.fixture(scope="module")
def unseen() -> Data:
    return make_data(60, seed=1)


@pytest.fixture(scope="module", params=predictor_names())
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def fitted(name: str, seen: Data) -> LatencyPredictor:
    return fit_checked(lambda: get_predictor(name), *seen, np.random.default_rng(0))[0]


def test_forty_measurements_are_enough(fitted: LatencyPredictor, unseen: Data) -> None:
    scores = score(fitted.predict(unseen[0]), unseen[1])
    assert scores.passes(min_spearman=0.97, max_mape=0.06), scores
    assert fitted.held_out_ is not None
    assert fitted.held_out_.scores.passes(min_spearman=0.95, max_mape=0.08)


def test_predictions_are_positive_seconds_one_for_each_network(fitted: LatencyPredictor, unseen: Data) -> None:
    predicted = fitted.predict(unseen[0])
    assert predicted.shape == (len(unseen[0]),)
    assert predicted.dtype == np.float64
    assert (predicted > 0).all()
    assert fitted.predict([]).shape == (0,)


def test_a_prediction_does_not_depend_on_its_company(fitted: LatencyPredictor, unseen: Data) -> None:
    networks = unseen[0][:10]
    alone = [fitted.predict([network])[0] for network in networks]
    np.testing.assert_allclose(fitted.predict(networks), alone, rtol=1e-12)
    np.testing.assert_allclose(fitted.predict(networks[::-1])[::-1], alone, rtol=1e-12)


def test_networks_of_other_spaces_are_predicted(fitted: LatencyPredictor) -> None:
    space = get_space("mobilenetv3")
    small, large = fitted.predict([space.lower(space.smallest()), space.lower(space.largest())])
    assert np.isfinite([small, large]).all()
    assert 0 < small < large


def test_fitting_again_gives_the_same_and_forgets(name: str, seen: Data, unseen: Data) -> None:
    predictor = get_predictor(name)
    assert predictor.fit(*unseen) is predictor
    again = predictor.fit(*seen).predict(unseen[0])
    assert (again == get_predictor(name).fit(*seen).predict(unseen[0])).all()
    assert predictor.held_out_ is None


def test_units_do_not_matter(name: str, seen: Data, unseen: Data) -> None:
    networks, latencies = seen
    fast = get_predictor(name).fit(networks, latencies).predict(unseen[0])
    slow = get_predictor(name).fit(networks, 1e4 * latencies).predict(unseen[0])
    assert np.median(np.abs(slow / fast / 1e4 - 1)) < 0.02


def test_few_networks_are_enough_to_start(name: str, seen: Data) -> None:
    predicted = get_predictor(name).fit(seen[0][:4], seen[1][:4]).predict(seen[0])
    assert np.isfinite(predicted).all()
    assert (predicted > 0).all()


def test_intervals_hold_what_they_promise(fitted: LatencyPredictor, unseen: Data) -> None:
    networks, latencies = unseen
    predicted = fitted.predict(networks)
    inside = {}
    for coverage in (0.5, 0.9):
        lower, upper = fitted.predict_interval(networks, coverage)
        assert (lower <= predicted).all()
        assert (predicted <= upper).all()
        inside[coverage] = float(((lower <= latencies) & (latencies <= upper)).mean())
    assert inside[0.5] < inside[0.9]
    assert inside[0.9] > 0.75


def test_measurements_that_went_wrong_do_not_bend_the_predictor(name: str, seen: Data, unseen: Data) -> None:
    """One in ten is three to eight times too slow, as on a machine that had other work to do."""
    networks, latencies = seen
    disturbed = latencies.copy()
    disturbed[::10] *= np.array([3.0, 8.0, 5.0, 4.0])
    scores = score(get_predictor(name).fit(networks, disturbed).predict(unseen[0]), unseen[1])
    assert scores.passes(min_spearman=0.97, max_mape=0.08), scores


def test_coverage_that_cannot_be_is_refused(fitted: LatencyPredictor, unseen: Data) -> None:
    for coverage in (0.0, 1.0, 1.5):
        with pytest.raises(PredictorError, match="give a share between 0 and 1"):
            fitted.predict_interval(unseen[0], coverage)
    with pytest.raises(PredictorError, match=r"40 held-out networks support a coverage of at most 0\.97"):
        fitted.predict_interval(unseen[0], 0.99)


def test_saved_predictors_predict_the_same(fitted: LatencyPredictor, unseen: Data, tmp_path: Path) -> None:
    save_predictor(fitted, tmp_path)
    loaded = load_predictor(tmp_path)
    assert type(loaded) is type(fitted)
    assert loaded.options() == fitted.options()
    assert (loaded.predict(unseen[0]) == fitted.predict(unseen[0])).all()
    for ours, theirs in zip(loaded.predict_interval(unseen[0]), fitted.predict_interval(unseen[0]), strict=True):
        assert (ours == theirs).all()


def test_unfitted_predictors_say_what_to_do(name: str, seen: Data, tmp_path: Path) -> None:
    predictor = get_predictor(name)
    with pytest.raises(PredictorError, match=f"{name}.*call fit"):
        predictor.predict(seen[0])
    with pytest.raises(PredictorError, match=f"{name}.*call fit"):
        save_predictor(predictor, tmp_path)
    with pytest.raises(PredictorError, match="use fit_checked"):
        predictor.fit(*seen).predict_interval(seen[0])


@pytest.mark.parametrize(
    ("count", "latencies_s", "message"),
    [
        (0, [], "measure at least 4"),
        (1, [1e-3], "measure at least 4"),
        (3, [1e-3, 2e-3, 3e-3], "measure at least 4"),
        (4, [1e-3, 2e-3, 3e-3], r"4 networks and latencies of shape \(3,\)"),
        (2, [[1e-3, 2e-3]], r"2 networks and latencies of shape \(1, 2\)"),
        (4, [1e-3, 2e-3, 3e-3, float("nan")], "nan at 3.*leave failed measurements out"),
        (4, [1e-3, 2e-3, 3e-3, float("inf")], "inf at 3"),
        (4, [1e-3, 2e-3, 0.0, 3e-3], r"0\.0 at 2"),
        (4, [1e-3, -2e-3, 3e-3, 4e-3], r"-0\.002 at 1"),
        (4, [1e-3] * 4, "all 4 latencies are 0.001 s"),
    ],
)
def test_measurements_that_teach_nothing_are_refused(
    name: str, seen: Data, count: int, latencies_s: list[float], message: str
) -> None:
    predictor = get_predictor(name)
    with pytest.raises(PredictorError, match=message):
        predictor.fit(seen[0][:count], latencies_s)
    assert not predictor.is_fitted


def test_unknown_options_are_refused(name: str) -> None:
    with pytest.raises(PredictorError, match=f"{name}.*colour"):
        get_predictor(name, {"colour": 1})
