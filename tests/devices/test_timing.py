from __future__ import annotations

import gc

import pytest

from devices import MeasureSettings
from devices.interval import relative_width
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


class Scripted(FakeClock):
    """Runs that take one of these times each, over and over from the second on."""

    def __init__(self, first_ns: list[int], then_ns: list[int]) -> None:
        super().__init__(0)
        self.first_ns, self.then_ns = first_ns, then_ns

    def run(self) -> None:
        later = self.runs - len(self.first_ns)
        self.run_ns = self.then_ns[later % len(self.then_ns)] if later >= 0 else self.first_ns[self.runs]
        super().run()


MS = 1_000_000


def test_warms_up_until_two_windows_are_alike() -> None:
    slow_start = [8 * MS] * 10 + [4 * MS] * 10  # 80 ms, then 40 ms of another speed
    clock = Scripted(slow_start, [MS])
    moments: list[int] = []
    taken = take_samples(clock.run, settings(0.1, 0.1, 10, 1.0), clock, lambda: moments.append(clock.runs))
    assert set(taken) == {MS}
    assert len(slow_start) < moments[0] == clock.runs - len(taken)


def test_a_warm_up_that_is_never_steady_ends() -> None:
    clock = FakeClock(MS)

    def now_fast_now_slow() -> None:
        clock.run_ns = MS * (1 + clock.now_ns // (50 * MS) % 2)
        clock.run()

    asked = settings(0.1, 0.0, 1, 1.0)
    began: list[int] = []
    take_samples(now_fast_now_slow, asked, clock, lambda: began.append(clock.now_ns))
    assert asked.max_warmup_s <= began[0] / 1e9 + 1e-6 <= asked.max_warmup_s + asked.min_warmup_s


def test_takes_samples_until_the_median_is_sure_or_time_is_up() -> None:
    noisy = [MS, MS + 40_000, MS + 80_000, MS - 40_000, MS - 80_000]
    counts = []
    for ci_width in (None, 0.05, 0.02):
        clock = Scripted([], noisy)
        asked = MeasureSettings(min_warmup_s=0.0, min_time_s=0.0, min_count=10, max_time_s=10.0, ci_width=ci_width)
        taken = take_samples(clock.run, asked, clock)
        counts.append(len(taken))
        assert ci_width is None or relative_width(taken) <= ci_width
    assert 10 == counts[0] < counts[1] < counts[2]
    clock = Scripted([], [MS, 2 * MS])  # its median is never sure
    taken = take_samples(clock.run, MeasureSettings(min_warmup_s=0.0, max_time_s=1.0), clock)
    assert 1e9 <= sum(taken) < 1.01e9
