"""What every accuracy predictor promises, run over every predictor in the registry."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nas.accuracy import (
    AccuracyError,
    AccuracyPredictor,
    accuracy_predictor_names,
    describe_accuracy_predictor,
    get_accuracy_predictor,
    load_accuracy_predictor,
    register_accuracy_predictor,
    save_accuracy_predictor,
    score,
)
from search_spaces import Architecture, SpaceError, get_space, macs

Data = tuple[list[Architecture], NDArray[np.float64]]

SPACE = get_space("mobilenetv3_32")
OPTIONS: dict[str, dict[str, Any]] = {
    "mlp": {"steps": 100, "width": 64, "learning_rate": 0.01},
    "boosting": {"trees": 60},
}
"""Settings under which the slow ones are quick enough for tests."""


def make(name: str) -> AccuracyPredictor:
    return get_accuracy_predictor(name, SPACE, OPTIONS.get(name))


def made_up_data(count: int, seed: int) -> Data:
    """Accuracy grows with work and with kernels, and is found with a noise of 0.2 points."""
    rng = np.random.default_rng(seed)
    archs = SPACE.architectures(SPACE.sample_indices(rng, count))
    work = np.log([macs(SPACE.lower(arch)) for arch in archs])
    kernels = [sum(float(v) for name, v in SPACE.options_of(arch).items() if name.endswith("kernel")) for arch in archs]
    return archs, 0.2 + 0.03 * work + 0.0008 * np.array(kernels) + rng.normal(0, 0.002, count)


@pytest.fixture(scope="module")
def seen() -> Data:
    return made_up_data(48, seed=0)


@pytest.fixture(scope="module")
def unseen() -> Data:
    return made_up_data(80, seed=1)


@pytest.fixture(scope="module", params=accuracy_predictor_names())
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def fitted(name: str, seen: Data) -> AccuracyPredictor:
    return make(name).fit(*seen)


def test_a_few_dozen_evaluations_are_enough(fitted: AccuracyPredictor, unseen: Data) -> None:
    scores = score(fitted.predict(unseen[0]), unseen[1])
    least = {"mlp": 0.2, "gp": 0.5}.get(fitted.name, 0.7)  # these two know nothing but the decisions
    assert scores.kendall > least, scores
    assert fitted.held_out_ is not None
    assert fitted.held_out_.scores.kendall == pytest.approx(scores.kendall, abs=0.25)


def test_predictions_are_shares_one_for_each_architecture(fitted: AccuracyPredictor, unseen: Data) -> None:
    predicted = fitted.predict(unseen[0])
    assert predicted.shape == (len(unseen[0]),)
    assert predicted.dtype == np.float64
    assert ((predicted >= 0) & (predicted <= 1)).all()
    assert fitted.predict([]).shape == (0,)


def test_a_prediction_does_not_depend_on_its_company(fitted: AccuracyPredictor, unseen: Data) -> None:
    archs = unseen[0][:6]
    alone = [fitted.predict([arch])[0] for arch in archs]
    np.testing.assert_allclose(fitted.predict(archs[::-1])[::-1], alone, rtol=1e-5)


def test_intervals_hold_what_they_promise(fitted: AccuracyPredictor, unseen: Data) -> None:
    archs, found = unseen
    predicted = fitted.predict(archs)
    inside = {}
    for coverage in (0.5, 0.9):
        lower, upper = fitted.predict_interval(archs, coverage)
        assert (lower <= predicted).all()
        assert (predicted <= upper).all()
        inside[coverage] = float(((lower <= found) & (found <= upper)).mean())
    assert inside[0.5] < inside[0.9]
    assert inside[0.9] > 0.75


def test_coverage_that_cannot_be_is_refused(fitted: AccuracyPredictor, unseen: Data) -> None:
    for coverage in (0.0, 1.0, 1.5):
        with pytest.raises(AccuracyError, match="give a share between 0 and 1"):
            fitted.predict_interval(unseen[0], coverage)
    with pytest.raises(AccuracyError, match=r"48 held-out networks support a coverage of at most 0\.980"):
        fitted.predict_interval(unseen[0], 0.99)


def test_fitting_again_gives_the_same_and_forgets(name: str, seen: Data, unseen: Data) -> None:
    predictor = make(name)
    few = (unseen[0][:12], unseen[1][:12])
    assert predictor.fit(*few) is predictor
    archs, found = seen[0][:16], seen[1][:16]
    again = predictor.fit(archs, found).predict(unseen[0])
    assert (again == make(name).fit(archs, found).predict(unseen[0])).all()


def test_saved_predictors_predict_the_same(fitted: AccuracyPredictor, unseen: Data, tmp_path: Path) -> None:
    save_accuracy_predictor(fitted, tmp_path)
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".safetensors"]
    loaded = load_accuracy_predictor(tmp_path, SPACE)
    assert type(loaded) is type(fitted)
    assert loaded.options() == fitted.options()
    assert loaded.archs_ == fitted.archs_
    np.testing.assert_allclose(loaded.predict(unseen[0]), fitted.predict(unseen[0]), rtol=1e-12)
    for ours, theirs in zip(loaded.predict_interval(unseen[0]), fitted.predict_interval(unseen[0]), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    again = tmp_path / "again"
    save_accuracy_predictor(loaded, again)
    assert json.loads((again / "accuracy.json").read_text()) == json.loads((tmp_path / "accuracy.json").read_text())


def test_unfitted_predictors_say_what_to_do(name: str, seen: Data, tmp_path: Path) -> None:
    predictor = make(name)
    assert not predictor.is_fitted
    for use in (predictor.predict, predictor.predict_interval):
        with pytest.raises(AccuracyError, match=f"{name}.*call fit"):
            use(seen[0])
    with pytest.raises(AccuracyError, match=f"{name}.*call fit"):
        save_accuracy_predictor(predictor, tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda archs, found: (archs[:9], found[:9]), "9 networks were given; evaluate at least 10"),
        (lambda archs, found: (archs, found[:-1]), r"48 architectures and accuracies of shape \(47,\)"),
        (lambda archs, found: (archs, np.where(np.arange(48) == 3, np.nan, found)), r"nan at 3.*leave them out"),
        (lambda archs, found: (archs, 100 * found), "48 of 48 accuracies are no shares"),
        (lambda archs, found: (archs, np.full(48, 0.5)), r"all 48 accuracies are 0\.5"),
        (lambda archs, found: (archs[:1] * 48, found), "all 48 architectures are"),
    ],
)
def test_evaluations_that_teach_nothing_are_refused(name: str, seen: Data, change: Any, message: str) -> None:
    predictor = make(name)
    with pytest.raises(AccuracyError, match=message):
        predictor.fit(*change(*seen))
    assert not predictor.is_fitted


def test_architectures_of_another_space_are_refused(fitted: AccuracyPredictor) -> None:
    with pytest.raises(SpaceError, match="nasbench201"):
        fitted.predict([get_space("nasbench201").smallest()])


def test_spaces_without_numbers_in_common_are_learnt_too(name: str) -> None:
    """NAS-Bench-201's options are words; many of its networks differ in nothing physical."""
    space = get_space("nasbench201")
    rng = np.random.default_rng(0)
    archs = space.architectures(space.sample_indices(rng, 24))
    found = 0.5 + 0.05 * np.array([arch.choices.count(3) for arch in archs]) + rng.normal(0, 0.001, 24)
    predictor = get_accuracy_predictor(name, space, OPTIONS.get(name)).fit(archs, found)
    assert score(predictor.predict(archs), found).kendall > 0.4


def test_unknown_options_and_names_are_refused(name: str) -> None:
    with pytest.raises(AccuracyError, match=f"{name}.*colour"):
        get_accuracy_predictor(name, SPACE, {"colour": 1})
    with pytest.raises(AccuracyError, match=r"there is no accuracy predictor 'crystal_ball'.*ensemble"):
        get_accuracy_predictor("crystal_ball", SPACE)
    with pytest.raises(AccuracyError, match=f"{name}.*registered already"):
        register_accuracy_predictor(type(make(name)))
    assert len(describe_accuracy_predictor(name)) > 20


def test_damaged_files_are_found_out(fitted: AccuracyPredictor, tmp_path: Path) -> None:
    save_accuracy_predictor(fitted, tmp_path)
    card, arrays = tmp_path / "accuracy.json", tmp_path / "accuracy.safetensors"
    text, content = card.read_text(), arrays.read_bytes()
    with pytest.raises(AccuracyError, match="not of 'nasbench201"):
        load_accuracy_predictor(tmp_path, get_space("nasbench201"))
    arrays.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(AccuracyError, match="does not belong"):
        load_accuracy_predictor(tmp_path, SPACE)
    arrays.write_bytes(content)
    for damaged in (text[:-20], "[]", "{}", text.replace('"version": 1', '"version": 2')):
        card.write_text(damaged)
        with pytest.raises(AccuracyError, match="fit"):
            load_accuracy_predictor(tmp_path, SPACE)
