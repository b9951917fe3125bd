from __future__ import annotations

import math
import time
from collections.abc import Callable

import pytest

from devices import Measurement, MeasureSettings
from devices.measurement import AGE
from nas.stages.bench import dated
from nas.visits import moment

Make = Callable[..., Measurement]


@pytest.fixture
def measurement() -> Make:
    """A measurement that found this around it."""

    def make(**environment: str) -> Measurement:
        found = tuple(environment.items())
        return Measurement("0" * 64, "onnx", "float32", "remote", MeasureSettings(), (1e-3,), environment=found)

    return make


def test_measurement_is_of_the_moment_that_it_came(measurement: Make) -> None:
    began_s = time.monotonic()
    boot, at_s = moment(dated(measurement()))
    assert boot and began_s - 1e-3 <= at_s <= time.monotonic() + 1e-3
    assert moment(dated(measurement(), "pi-1"))[0] == f"{boot}@pi-1"


def test_result_that_waited_is_of_the_moment_that_it_was_made(measurement: Make) -> None:
    began_s = time.monotonic()
    at_s = moment(dated(measurement(**{AGE: "3600.000"})))[1]
    assert began_s - 3600.001 <= at_s <= time.monotonic() - 3599.999
    assert math.isnan(moment(dated(measurement(**{AGE: "nan"})))[1])  # nobody knows: no sentinel was near


def test_simulated_measurement_is_of_no_moment(measurement: Make) -> None:
    made = measurement(simulated="true")
    assert dated(made) is made
