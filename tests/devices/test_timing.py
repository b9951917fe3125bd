from __future__ import annotations

import gc

import pytest

from devices import MeasureSettings
from devices.timing import take_samples, time_once


class FakeClock:
    """Goes on only when the model runs."""

    def __init__(self, run_ns: int) -> None:
        self.now_ns, self.run_ns, self.runs = 0, run_ns, 0

    def __call__(self) -> int:
        return self.now_ns

    def run(self) -> None:
        self.runs += 1
        self.now_ns += self.run_ns


def settings(warmup_s: float, time_s: float, count: int, max_s: float) -> MeasureSettings:
    return MeasureSettings(min_warmup_s=warmup_s, min_time_s=time_s, min_count=count, max_time_s=max_s, ci_width=None)


@pytest.mark.parametrize(
    ("run_ms", "asked", "warmups", "samples"),
    [
        (1, settings(0.1, 0.5, 50, 10.0), 100, 500),  # least time decides
        (100, settings(0.1, 0.5, 50, 10.0), 2, 50),  # least count decides; a warm-up of two windows
        (1000, settings(0.1, 0.5, 50, 10.0), 1, 10),  # longest time decides
        (60_000, settings(0.1, 0.5, 50, 10.0), 1, 1),  # one inference is longer than all of it
        (1, settings(0.0, 0.0, 1, 10.0), 0, 1),
    ],
)
def test_stops_when_both_minima_are_met(run_ms: int, asked: MeasureSettings, warmups: int, samples: int) -> None:
    clock = FakeClock(run_ms * 1_000_000)
    taken = take_samples(clock.run, asked, clock)
    assert taken == [run_ms * 1_000_000] * samples
    assert clock.runs == warmups + samples


def test_garbage_collector_rests_meanwhile_and_works_afterwards() -> None:
    states: list[bool] = []
    take_samples(lambda: states.append(gc.isenabled()), settings(0.0, 0.0, 2, 1.0))
    assert states == [False, False]
    assert gc.isenabled()

    def fail() -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        take_samples(fail, settings(0.0, 0.0, 2, 1.0))
    assert gc.isenabled()


def test_one_call_is_timed() -> None:
    clock = FakeClock(7)
    assert time_once(clock.run, clock) == 7
