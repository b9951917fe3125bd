from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from latency_predictors import (
    FewShotPredictor,
    KnownDevices,
    LatencyPredictor,
    PredictorError,
    feature_matrix,
    load_predictor,
    save_predictor,
    score,
)
from search_spaces import Network, get_space


def networks_of(count: int, seed: int) -> list[Network]:
    rng = np.random.default_rng(seed)
    space = get_space("mobilenetv3_32")
    return [space.lower(space.sample(rng)) for _ in range(count)]


def latencies_of(networks: list[Network], device: int) -> np.ndarray:
    """Devices differ in what each feature costs them."""
    rng = np.random.default_rng(device)
    matrix = feature_matrix(networks)
    unit = matrix / np.maximum(feature_matrix(networks_of(30, seed=99)).mean(axis=0), 1e-9)
    return 1e-3 * (1 + device) * (1 + unit @ rng.gamma(0.3, size=matrix.shape[1]))


@pytest.fixture(scope="module")
def fleet_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    networks = networks_of(60, seed=0)
    known = KnownDevices.none().extended(networks, {f"d{n}": latencies_of(networks, n).tolist() for n in range(4)})
    path = tmp_path_factory.mktemp("fleet") / "known.safetensors"
    known.save(path)
    return str(path)


@pytest.fixture(scope="module")
def adapted(fleet_file: str) -> FewShotPredictor:
    predictor = FewShotPredictor(fleet=fleet_file)
    pool = networks_of(40, seed=1)
    measured = [pool[row] for row in predictor.choose(pool, 10)]
    return predictor.adapt(measured, latencies_of(measured, 7))


def test_ten_chosen_networks_are_enough_with_a_fleet(adapted: FewShotPredictor) -> None:
    unseen = networks_of(60, seed=2)
    latencies = latencies_of(unseen, 7)
    scores = score(adapted.predict(unseen), latencies)
    assert scores.passes(min_spearman=0.95, max_mape=0.05), scores
    lower, upper = adapted.posterior_interval(unseen)
    assert ((lower <= latencies) & (latencies <= upper)).mean() > 0.4  # promised of devices together, not of each
    with pytest.raises(PredictorError, match="between 0 and 1"):
        adapted.posterior_interval(unseen, 1.0)


def test_an_adapted_predictor_is_saved_without_its_fleet_file(adapted: FewShotPredictor, tmp_path: Path) -> None:
    save_predictor(adapted, tmp_path)
    loaded: LatencyPredictor = load_predictor(tmp_path)
    assert isinstance(loaded, FewShotPredictor)
    unseen = networks_of(20, seed=2)
    assert (loaded.predict(unseen) == adapted.predict(unseen)).all()
    assert (loaded.posterior_interval(unseen)[1] == adapted.posterior_interval(unseen)[1]).all()


def test_no_measurement_is_enough_for_an_answer(fleet_file: str) -> None:
    unseen = networks_of(30, seed=2)
    predictor = FewShotPredictor(fleet=fleet_file).adapt([], [])
    assert score(predictor.predict(unseen), latencies_of(unseen, 7)).spearman > 0.8
    assert predictor.warning is None
    with pytest.raises(PredictorError, match="has no fleet"):
        FewShotPredictor().adapt([], [])


def test_a_file_of_known_devices_is_extended(fleet_file: str, tmp_path: Path) -> None:
    known = KnownDevices.load(Path(fleet_file))
    networks = networks_of(12, seed=3)
    longer = known.extended(networks, {"d1": [1e-3] * 12, "mine": [*[2e-3] * 11, float("nan")]})
    assert longer.devices == ("d0", "d1", "d2", "d3", "mine")
    assert longer.latencies_s.shape == (72, 5)
    assert np.isnan(longer.latencies_s[:60, 4]).all()
    assert np.isnan(longer.latencies_s[60:, 0]).all()
    longer.save(tmp_path / "deep" / "known.safetensors")
    read = KnownDevices.load(tmp_path / "deep" / "known.safetensors")
    assert read.devices == longer.devices
    np.testing.assert_array_equal(read.latencies_s, longer.latencies_s)
    for wrong in ([1e-3], [0.0] * 12, [float("inf")] * 12):
        with pytest.raises(PredictorError, match="'mine': 12 networks"):
            known.extended(networks, {"mine": wrong})


@pytest.mark.parametrize("content", [b"", b"\0" * 20, b"\xff" * 64])
def test_damaged_files_of_known_devices_are_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "known.safetensors"
    path.write_bytes(content)
    with pytest.raises(PredictorError, match="no known devices can be read"):
        KnownDevices.load(path)
    with pytest.raises(
        PredictorError, match=r"there is no file of known devices .*; make it with `nas fleet .*absent RUN"
    ):
        FewShotPredictor(fleet=str(tmp_path / "absent")).adapt([], [])
