"""How inferences are timed."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from statistics import median

from devices.interval import relative_width
from devices.measurement import MeasureSettings

Clock = Callable[[], int]

_STEADY = 0.02
"""Two warm-up windows whose medians differ by no more than this share are alike."""

_GROWTH = 10
"""Whether there are enough samples is asked again after a tenth more of them: asking sorts them all."""


def time_once(run: Callable[[], object], clock: Clock = time.perf_counter_ns) -> int:
    """Nanoseconds that one call takes."""
    start = clock()
    run()
    return clock() - start


def take_samples(
    run: Callable[[], object],
    settings: MeasureSettings,
    clock: Clock = time.perf_counter_ns,
    when_warm: Callable[[], object] = lambda: None,
) -> list[int]:
    """Nanoseconds of every timed call, after a warm-up that is not timed.

    The warm-up ends when its last two windows, each half of ``min_warmup_s`` long, have medians within 2 %, or at
    ``max_warmup_s``. Samples are taken until the least time and the least count are met and the confidence interval of
    their median is no wider than ``ci_width``, or to the longest time. The garbage collector rests meanwhile, for its
    pauses are Python's and not the model's.

    Args:
        run: one inference.
        settings: how long to warm up and to take samples for.
        clock: a clock in nanoseconds that never goes back.
        when_warm: called between warm-up and timing.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        _warm_up(run, settings, clock)
        when_warm()
        return _timed(run, settings, clock)
    finally:
        if collecting:
            gc.enable()


def _warm_up(run: Callable[[], object], settings: MeasureSettings, clock: Clock) -> None:
    least, most = _nanoseconds(settings.min_warmup_s), _nanoseconds(settings.max_warmup_s)
    start, before = clock(), None
    while clock() - start < most:
        window = _window(run, least // 2, clock)
        alike = before is not None and abs(window - before) <= _STEADY * before
        if alike and clock() - start >= least:
            return
        before = window


def _window(run: Callable[[], object], duration_ns: int, clock: Clock) -> float:
    """Median of the calls within this time, at least one."""
    start = clock()
    samples = [time_once(run, clock)]
    while clock() - start < duration_ns:
        samples.append(time_once(run, clock))
    return median(samples)


def _timed(run: Callable[[], object], settings: MeasureSettings, clock: Clock) -> list[int]:
    least, most = _nanoseconds(settings.min_time_s), _nanoseconds(settings.max_time_s)
    samples: list[int] = []
    count = settings.min_count
    start = clock()
    while True:
        before = clock()
        run()
        after = clock()
        samples.append(after - before)
        elapsed = after - start
        if elapsed >= most:
            return samples
        if elapsed >= least and len(samples) >= count:
            if settings.ci_width is None or relative_width(samples) <= settings.ci_width:
                return samples
            count = len(samples) + max(1, len(samples) // _GROWTH)


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)
