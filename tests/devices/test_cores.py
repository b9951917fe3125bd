from __future__ import annotations

import contextlib
import os
import sys
import threading
from pathlib import Path

import pytest

from devices import cores
from devices.cores import CoreTimes, Pinning, busy_shares, choose_cores, core_times, core_times_in, parse_cores

STAT = """cpu  3 0 0 0 0 0 0 0 0 0
cpu0 100 20 30 4000 50 6 7 80 9 10
cpu11 1 2 3 4
intr 5 6
"""


def test_times_are_read_as_the_kernel_counts_them() -> None:
    assert core_times_in(STAT, 100) == {0: CoreTimes(1.63, 0.8), 11: CoreTimes(0.06, 0.0)}
    assert core_times_in("", 100) == {}


def test_share_is_of_the_time_that_went_by() -> None:
    before = {0: CoreTimes(1.0, 0.0), 1: CoreTimes(5.0, 0.5), 2: CoreTimes(0.0, 0.0)}
    after = {0: CoreTimes(1.5, 0.0), 1: CoreTimes(6.0, 1.0), 3: CoreTimes(9.0, 0.0)}
    assert busy_shares(before, after, 1.0) == {0: 0.5, 1: 1.0}


@pytest.mark.parametrize(("text", "found"), [("0", [0]), ("0-2,5", [0, 1, 2, 5]), (" 7\n", [7])])
def test_lists_of_cores_are_read(text: str, found: list[int]) -> None:
    assert parse_cores(text) == found


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight cores: 0 to 3 are big, and 0 and 1, 2 and 3 two halves of one; the rest are little."""
    monkeypatch.setattr(cores, "capacity", lambda core: 1024 if core < 4 else 512)
    monkeypatch.setattr(cores, "siblings", lambda core: frozenset({core, core ^ 1}) if core < 4 else frozenset({core}))


@pytest.mark.parametrize(
    ("count", "busy", "current", "chosen"),
    [
        (1, {}, (), (0,)),
        (1, {0: 0.9}, (), (2,)),  # core 1 shares its units with the busy core 0
        (1, {0: 0.9, 3: 0.5}, (), (2,)),  # never a little one for being idle
        (2, {}, (), (0, 2)),  # two whole cores before two halves of one
        (3, {}, (), (0, 1, 2)),
        (6, {}, (), (0, 1, 2, 3, 4, 5)),
        (20, {}, (), tuple(range(8))),
        (1, {2: 0.05}, (2,), (2,)),  # not worth moving
        (1, {2: 0.5}, (2,), (0,)),
        (1, {}, (9,), (0,)),  # that core is not allowed any more
    ],
)
def test_chosen_are_the_fastest_and_least_busy(
    machine: None, count: int, busy: dict[int, float], current: tuple[int, ...], chosen: tuple[int, ...]
) -> None:
    assert choose_cores(count, range(8), busy, current) == chosen


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system does not pin")
def test_process_is_pinned_where_it_is_allowed() -> None:
    before = os.sched_getaffinity(0)
    try:
        pinning = Pinning()
        first = pinning.pin(1)
        assert os.sched_getaffinity(0) == set(first) <= before and len(first) == 1
        pinning.saw({first[0]: 1.0})
        assert set(pinning.pin(len(before))) == before
    finally:
        os.sched_setaffinity(0, before)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_threads_that_are_there_already_are_moved_too() -> None:
    before, found, asked, ended = os.sched_getaffinity(0), [], threading.Event(), threading.Event()

    def kept() -> None:
        asked.wait(60)
        found.append(os.sched_getaffinity(0))
        ended.set()

    thread = threading.Thread(target=kept)
    thread.start()
    try:
        chosen = Pinning().pin(1)
        asked.set()
        assert ended.wait(60)
        assert found == [set(chosen)]
    finally:
        for task in Path("/proc/self/task").iterdir():
            with contextlib.suppress(OSError):
                os.sched_setaffinity(int(task.name), before)
        thread.join()


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_this_machine_tells_its_times() -> None:
    assert len(core_times()) >= 1
