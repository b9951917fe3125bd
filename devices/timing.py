"""How inferences are timed."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

from devices.measurement import MeasureSettings

Clock = Callable[[], int]


def time_once(run: Callable[[], object], clock: Clock = time.perf_counter_ns) -> int:
    """Nanoseconds that one call takes."""
    start = clock()
    run()
    return clock() - start


def take_samples(
    run: Callable[[], object], settings: MeasureSettings, clock: Clock = time.perf_counter_ns
) -> list[int]:
    """Nanoseconds of every timed call, after a warm-up that is not timed.

    The garbage collector rests meanwhile, for its pauses are Python's and not the model's.

    Args:
        run: one inference.
        settings: how long to warm up and to take samples for.
        clock: a clock in nanoseconds that never goes back.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        _warm_up(run, _nanoseconds(settings.min_warmup_s), clock)
        least, most = _nanoseconds(settings.min_time_s), _nanoseconds(settings.max_time_s)
        samples: list[int] = []
        start = clock()
        while True:
            before = clock()
            run()
            after = clock()
            samples.append(after - before)
            elapsed = after - start
            if elapsed >= most or (elapsed >= least and len(samples) >= settings.min_count):
                return samples
    finally:
        if collecting:
            gc.enable()


def _warm_up(run: Callable[[], object], duration_ns: int, clock: Clock) -> None:
    start = clock()
    while clock() - start < duration_ns:
        run()


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)
