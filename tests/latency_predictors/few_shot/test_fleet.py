from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from latency_predictors import PredictorError, score
from latency_predictors.few_shot import Description, Fleet
from latency_predictors.few_shot.response import SHIFTS, inverse, log_slope, transform

KNOWN, UNSEEN = np.arange(120), np.arange(120, 260)


def test_ten_chosen_measurements_tell_a_device(world: Any) -> None:
    latencies = world.latencies_s[:, -1]
    chosen = world.fleet.choose(world.encoded.take(KNOWN), 10)
    target = world.fleet.adapt(world.encoded.take(chosen), latencies[chosen])
    scores = score(target.predict(world.encoded.take(UNSEEN)), latencies[UNSEEN])
    assert scores.spearman > 0.8, scores
    assert scores.mape < 0.1, scores


def test_more_measurements_help_and_many_can_be_had(world: Any) -> None:
    latencies = world.latencies_s[:, -1]
    errors = []
    for count in (3, 100):
        target = world.fleet.adapt(world.encoded.take(KNOWN[:count]), latencies[:count])
        errors.append(score(target.predict(world.encoded.take(UNSEEN)), latencies[UNSEEN]).mape)
    assert errors[1] < min(errors[0], 0.03)


def test_intervals_hold_about_what_they_promise_and_grow_with_it(world: Any) -> None:
    latencies = world.latencies_s[:, -1]
    target = world.fleet.adapt(world.encoded.take(KNOWN[:20]), latencies[:20])
    unseen = world.encoded.take(UNSEEN)
    lower, upper = target.interval(unseen, 0.9)
    inner = target.interval(unseen, 0.5)
    assert ((lower <= latencies[UNSEEN]) & (latencies[UNSEEN] <= upper)).mean() > 0.75
    assert (lower < inner[0]).all()
    assert (inner[1] < upper).all()
    assert (lower > 0).all()


def test_without_a_measurement_known_devices_answer_with_wide_intervals(world: Any) -> None:
    target = world.fleet.adapt(world.encoded.take(KNOWN[:0]), np.zeros(0))
    unseen = world.encoded.take(UNSEEN)
    lower, upper = target.interval(unseen)
    assert (upper > 5 * lower).all()
    assert score(target.predict(unseen), world.latencies_s[UNSEEN, -1]).spearman > 0.7


def test_without_a_measurement_work_orders_networks_that_devices_of_one_kind_hardly_tell_apart(world: Any) -> None:
    work, launches = world.quantities["work"], world.quantities["launches"]
    alike = np.stack([factor * launches for factor in (1.0, 1.1, 1.3)], axis=1)
    known = {name: values[KNOWN] for name, values in world.quantities.items()}
    fleet = Fleet.fit(world.description.take(KNOWN), known, 1e-3 * alike[KNOWN])
    unseen = fleet.encode(world.description, world.quantities).take(UNSEEN)
    predicted = fleet.adapt(unseen.take(KNOWN[:0]), np.zeros(0)).predict(unseen)
    assert score(predicted, 1e-3 * work[UNSEEN]).spearman > score(launches[UNSEEN], work[UNSEEN]).spearman + 0.1


def test_a_device_with_a_tenth_of_the_known_devices_spread_is_told_from_ten(world: Any) -> None:
    """Learnt sizes of deviations are as large as all of its latencies: a mix has to be believed beside them."""
    flat = 1e-3 * (9 + world.latencies_s[:, 2] / np.median(world.latencies_s[:, 2]))
    chosen = world.fleet.choose(world.encoded.take(KNOWN), 10)
    target = world.fleet.adapt(world.encoded.take(chosen), flat[chosen])
    assert score(target.predict(world.encoded.take(UNSEEN)), flat[UNSEEN]).spearman > 0.97


def test_one_measurement_gives_the_scale(world: Any) -> None:
    target = world.fleet.adapt(world.encoded.take(KNOWN[:1]), world.latencies_s[:1, -1])
    ratio = target.predict(world.encoded.take(UNSEEN)) / world.latencies_s[UNSEEN, -1]
    assert 0.5 < np.median(ratio) < 2


def test_the_unit_of_time_does_not_matter(world: Any) -> None:
    seen, unseen = world.encoded.take(KNOWN[:10]), world.encoded.take(UNSEEN)
    latencies = world.latencies_s[:10, -1]
    fast, slow = (world.fleet.adapt(seen, factor * latencies).predict(unseen) for factor in (1.0, 1e4))
    np.testing.assert_allclose(slow, 1e4 * fast, rtol=1e-6)


def test_a_device_like_no_other_is_told(world: Any) -> None:
    chosen = world.fleet.choose(world.encoded.take(KNOWN), 10)
    seen = world.encoded.take(chosen)
    rng = np.random.default_rng(0)
    assert not world.fleet.adapt(seen, world.latencies_s[chosen, -1]).is_unlike_any
    assert world.fleet.adapt(seen, 1e-3 * rng.lognormal(0, 1.5, 10)).strangeness > 0


def test_chosen_networks_are_different_and_know_what_was_measured(world: Any) -> None:
    pool = world.encoded.take(KNOWN)
    together = world.fleet.choose(pool, 8)
    assert len(set(together.tolist())) == 8
    later = world.fleet.choose(pool, 4, seen=pool.take(together[:4]))
    assert later.tolist() == together[4:].tolist()
    with pytest.raises(PredictorError, match="121 networks were asked for from a pool of 120"):
        world.fleet.choose(pool, 121)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 0.0, -1.0])
def test_latencies_that_teach_nothing_are_refused(world: Any, wrong: float) -> None:
    seen = world.encoded.take(KNOWN[:3])
    with pytest.raises(PredictorError, match="not positive numbers"):
        world.fleet.adapt(seen, np.array([1e-3, 2e-3, wrong]))
    with pytest.raises(PredictorError, match="one positive number"):
        world.fleet.adapt(seen.take(KNOWN[:1]), np.array([wrong]))
    with pytest.raises(PredictorError, match=r"all 3 latencies are 0\.001"):
        world.fleet.adapt(seen, np.full(3, 1e-3))
    with pytest.raises(PredictorError, match="3 networks and 2 latencies"):
        world.fleet.adapt(seen, np.array([1e-3, 2e-3]))


def test_networks_described_otherwise_are_refused(world: Any) -> None:
    other = Description.of({"colour": np.ones((3, 1))})
    with pytest.raises(PredictorError, match=r"\['colour'\] were given for a predictor of \['work'"):
        world.fleet.encode(other, {name: values[:3] for name, values in world.quantities.items()})
    with pytest.raises(PredictorError, match="this fleet knows"):
        world.fleet.encode(world.description, {"work": world.quantities["work"]})
    with pytest.raises(PredictorError, match="finite numbers"):
        Description.of({"work": np.full((2, 1), np.nan)})


def test_a_fleet_of_nobody_learns_from_measurements_alone(world: Any) -> None:
    latencies = world.latencies_s[:, -1]
    known = {name: values[KNOWN] for name, values in world.quantities.items()}
    nobody = Fleet.fit(world.description.take(KNOWN), known, np.zeros((120, 0)))
    encoded = nobody.encode(world.description, world.quantities)
    with pytest.raises(PredictorError, match="no known device"):
        nobody.adapt(encoded.take(KNOWN[:0]), np.zeros(0))
    target = nobody.adapt(encoded.take(KNOWN[:40]), latencies[:40])
    assert score(target.predict(encoded.take(UNSEEN)), latencies[UNSEEN]).spearman > 0.9


def test_a_device_may_lack_measurements(world: Any) -> None:
    latencies = world.latencies_s[:120, :3].copy()
    latencies[60:, 0] = np.nan
    known = {name: values[KNOWN] for name, values in world.quantities.items()}
    fleet = Fleet.fit(world.description.take(KNOWN), known, latencies)
    relative = fleet.encode(world.description, world.quantities).mixed[UNSEEN, 0]
    assert score(relative, world.latencies_s[UNSEEN, 0]).spearman > 0.97
    with pytest.raises(PredictorError, match="measure at least 10"):
        Fleet.fit(world.description.take(KNOWN), known, np.where(np.arange(120)[:, None] < 5, latencies, np.nan))


@pytest.mark.parametrize("shift", SHIFTS)
def test_transforms_are_increasing_with_unit_slope_and_an_inverse(shift: float) -> None:
    relative = np.geomspace(0.01, 100, 50)
    value = transform(relative, shift)
    assert (np.diff(value) > 0).all()
    np.testing.assert_allclose(inverse(value, shift), relative, rtol=1e-9)
    step = 1e-6 * relative
    slope = (transform(relative + step, shift) - transform(relative - step, shift)) / (2 * step)
    np.testing.assert_allclose(np.exp(log_slope(relative, shift)), slope, rtol=1e-5)
    assert transform(np.ones(1), shift)[0] == 0
