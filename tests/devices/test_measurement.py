from __future__ import annotations

import json
import math
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices import Artifact, DeviceError, Measurement, MeasureSettings

SHA256 = "0" * 64
SAMPLES = st.lists(st.floats(0, 1e6), min_size=1, max_size=50)


def measurement(**changes: Any) -> Measurement:
    fields: dict[str, Any] = {
        "artifact_sha256": SHA256,
        "format": "onnx",
        "precision": "int8",
        "device": "fake",
        "settings": MeasureSettings(),
        "latencies_s": (0.1, 0.3, 0.2),
    }
    return Measurement(**{**fields, **changes})


@given(SAMPLES, st.floats(0, 100))
def test_percentiles_equal_numpys(samples: list[float], percent: float) -> None:
    found = measurement(latencies_s=tuple(samples)).percentile_s(percent)
    assert found == pytest.approx(float(np.percentile(samples, percent)), rel=1e-9, abs=1e-12)


@given(SAMPLES)
def test_median_lies_between_its_neighbours(samples: list[float]) -> None:
    made = measurement(latencies_s=tuple(samples))
    assert min(samples) <= made.median_s <= made.p90_s * (1 + 1e-12)
    assert made.p50_s == made.median_s


@pytest.mark.parametrize("percent", [-1, 100.1, math.nan])
def test_percentile_out_of_range_is_an_error(percent: float) -> None:
    with pytest.raises(DeviceError, match="0 to 100"):
        measurement().percentile_s(percent)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"load_s": 0.1, "peak_memory_bytes": 5, "environment": (("cpu", "é"),)},
        {"latencies_s": (), "error": "no"},
        {"flags": ("busy", "unsteady"), "drift": 1.02, "energy_j": 0.5},
        {"settings": MeasureSettings(ci_width=None, visit=3, thorough=False)},
    ],
)
def test_json_and_pickle_round_trip(changes: dict[str, Any]) -> None:
    made = measurement(**changes)
    assert Measurement.from_json(json.loads(json.dumps(made.to_json()))) == made
    assert pickle.loads(pickle.dumps(made)) == made  # noqa: S301 (our own bytes)
    assert hash(made) == hash(measurement(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"latencies_s": ()},
        {"error": "both"},
        {"latencies_s": (math.nan,)},
        {"latencies_s": (-1.0,)},
        {"drift": 0.0},
        {"drift": math.inf},
    ],
)
def test_there_are_either_samples_or_an_error(changes: dict[str, Any]) -> None:
    with pytest.raises(DeviceError):
        measurement(**changes)


def test_failure_has_no_latency() -> None:
    failed = Measurement.failed(Artifact(None, "onnx", "int8", (3, 8, 8), SHA256), "fake", MeasureSettings(), "it fell")  # type: ignore[arg-type]
    assert not failed.ok
    for ask in (lambda: failed.median_s, lambda: failed.p90_s):
        with pytest.raises(DeviceError, match="it fell"):
            ask()


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"settings": 1},
        {**measurement().to_json(), "more": 1},
        {**measurement().to_json(), "environment": 3},
        {**measurement().to_json(), "flags": "busy"},
        {**measurement().to_json(), "flags": [1]},
    ],
)
def test_json_of_no_measurement_is_an_error(data: dict[str, Any]) -> None:
    with pytest.raises(DeviceError):
        Measurement.from_json(data)


@pytest.mark.parametrize(
    "changes",
    [
        {"threads": 0},
        {"batch": -1},
        {"min_count": 0},
        {"min_count": 1.5},
        {"min_time_s": -1.0},
        {"min_warmup_s": math.nan},
        {"timeout_s": math.inf},
        {"min_time_s": 20.0},
        {"timeout_s": 10.0},
        {"ci_width": 0.0},
        {"ci_width": math.nan},
        {"visit": -1},
        {"visit": True},
        {"thorough": 1},
    ],
)
def test_settings_that_make_no_sense_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(DeviceError, match=next(iter(changes))):
        MeasureSettings(**changes)


def test_settings_key_is_of_what_samples_depend_on() -> None:
    key = MeasureSettings().key
    assert MeasureSettings(timeout_s=99.0).key == key
    assert MeasureSettings(max_time_s=10).key == key
    others = [MeasureSettings(threads=2), MeasureSettings(min_count=51), MeasureSettings(min_warmup_s=0.2)]
    assert len({key, *(other.key for other in others)}) == 4
    assert key == "dd308f7a61d456f9"  # ledgers of earlier versions are looked up by it
    assert MeasureSettings(thorough=False).key == key
    later = [MeasureSettings(ci_width=None), MeasureSettings(ci_width=0.01), MeasureSettings(visit=1)]
    assert len({key, *(other.key for other in later)}) == 4


def test_a_row_of_an_earlier_version_is_read() -> None:
    row = measurement().to_json()
    for name in ("flags", "drift", "energy_j"):
        del row[name]
    for name in ("ci_width", "visit", "thorough"):
        del row["settings"][name]
    assert Measurement.from_json(row) == measurement()


def test_warm_up_leaves_time_before_the_time_out() -> None:
    assert MeasureSettings().max_warmup_s == pytest.approx(0.3)
    tight = MeasureSettings(min_warmup_s=5.0, max_time_s=10.0, timeout_s=16.0)
    assert tight.min_warmup_s < tight.max_warmup_s < tight.timeout_s - tight.max_time_s


def test_drift_is_taken_out_of_every_percentile() -> None:
    slowed = measurement(drift=1.25)
    assert slowed.median_s == 0.2
    assert slowed.corrected_s() == pytest.approx(0.16)
    assert slowed.corrected_s(100) == pytest.approx(0.24)
    assert measurement().corrected_s(90) == measurement().p90_s
    assert measurement().p90_s <= measurement().p99_s <= 0.3


def test_interval_of_the_median_needs_samples() -> None:
    assert measurement().ci_s is None
    assert measurement(latencies_s=tuple(range(1, 101))).ci_s == (40, 61)
