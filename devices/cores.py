"""Which cores to measure on: as fast as there are, and as little used by others as can be had."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

_STAT = Path("/proc/stat")
_CPUS = Path("/sys/devices/system/cpu")
_GLANCE_S = 0.1
"""The kernel counts in hundredths of a second: less would tell nothing."""

_WORTH_MOVING = 0.1
"""Cores are left for others that are less busy by more than this share: a move costs warm caches."""


@dataclass(frozen=True, slots=True)
class CoreTimes:
    """Seconds that a core has spent since the machine started: at work for anybody, and taken by the hypervisor."""

    busy_s: float
    steal_s: float


def core_times() -> dict[int, CoreTimes]:
    """Of every core; empty where the system does not tell."""
    try:
        return core_times_in(_STAT.read_text(encoding="ascii"), os.sysconf("SC_CLK_TCK"))
    except (AttributeError, OSError, ValueError):
        return {}


def core_times_in(stat: str, ticks_per_s: int) -> dict[int, CoreTimes]:
    """The same in the text of ``/proc/stat``: all that proc(5) lists but idling, waiting for disks, and guests."""
    found = {}
    for line in stat.splitlines():
        named = re.match(r"cpu(\d+) ", line)
        if named:
            user, nice, system, _idle, _wait, irq, softirq, steal = map(int, [*line.split()[1:9], *"00000000"][:8])
            busy = user + nice + system + irq + softirq
            found[int(named.group(1))] = CoreTimes(busy / ticks_per_s, steal / ticks_per_s)
    return found


def busy_shares(before: Mapping[int, CoreTimes], after: Mapping[int, CoreTimes], elapsed_s: float) -> dict[int, float]:
    """Share of the time, 0 to 1, that each core worked for anybody or was taken by the hypervisor."""
    shares = {}
    for core in before.keys() & after.keys():
        used = after[core].busy_s - before[core].busy_s + after[core].steal_s - before[core].steal_s
        shares[core] = min(1.0, max(0.0, used / max(elapsed_s, 1e-9)))
    return shares


def siblings(core: int) -> frozenset[int]:
    """Cores that share the execution units of this one, itself among them."""
    try:
        text = (_CPUS / f"cpu{core}" / "topology" / "thread_siblings_list").read_text(encoding="ascii")
        return frozenset(parse_cores(text)) | {core}
    except (OSError, ValueError):
        return frozenset({core})


def parse_cores(text: str) -> list[int]:
    """Cores as the kernel lists them: ``0-2,5``.

    Raises:
        ValueError: no such list.
    """
    found: list[int] = []
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


def capacity(core: int) -> int:
    """How fast a core is among those of its machine, 1024 for the fastest; big and little ones differ."""
    try:
        return int((_CPUS / f"cpu{core}" / "cpu_capacity").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 1024  # one kind of core only


def choose_cores(
    count: int, allowed: Iterable[int], busy: Mapping[int, float], current: tuple[int, ...] = ()
) -> tuple[int, ...]:
    """As many cores as there are threads: the fastest kind, on as many physical cores as can be, the least busy.

    Args:
        count: threads; all allowed cores where there are not as many.
        allowed: cores that may be used.
        busy: share of the time that others use each.
        current: cores in use; kept unless others are less busy by more than a tenth.
    """
    free = sorted(allowed, key=lambda core: (-capacity(core), _load(core, busy), core))
    fastest = [core for core in free if capacity(core) == capacity(free[0])]
    pool = fastest if len(fastest) >= count else free
    chosen: list[int] = []
    while pool and len(chosen) < count:
        taken = frozenset[int]().union(*map(siblings, chosen))
        best = min(pool, key=lambda core: (-capacity(core), core in taken, pool.index(core)))
        pool = [core for core in pool if core != best]
        chosen.append(best)
    if len(current) == len(chosen) and set(current) <= set(free):
        gain = max(_load(core, busy) for core in current) - max(_load(core, busy) for core in chosen)
        if gain <= _WORTH_MOVING:
            return current
    return tuple(sorted(chosen))


def _load(core: int, busy: Mapping[int, float]) -> float:
    return max(busy.get(other, 0.0) for other in siblings(core))


def _move_others(cores: tuple[int, ...]) -> None:
    """Move this process's other threads too: some runtimes keep theirs from one model to the next."""
    with contextlib.suppress(OSError):  # not Linux
        for thread in Path("/proc/self/task").iterdir():
            with contextlib.suppress(OSError):  # it has ended meanwhile
                os.sched_setaffinity(int(thread.name), cores)


class Pinning:
    """Keeps this process on the least busy cores.

    The first choice looks at the machine for a tenth of a second; later ones use what was seen in the meantime, for
    which the process says how much of it was its own.
    """

    def __init__(self) -> None:
        self._allowed = frozenset(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else frozenset[int]()
        self._busy: dict[int, float] | None = None
        self._cores: tuple[int, ...] = ()

    def pin(self, threads: int) -> tuple[int, ...]:
        """Move to the best cores for so many threads; the cores, none where the system does not pin."""
        if not self._allowed:
            return ()
        if self._busy is None:
            self._busy = self._glance()
        self._cores = choose_cores(threads, self._allowed, self._busy, self._cores)
        try:
            os.sched_setaffinity(0, self._cores)
            _move_others(self._cores)
        except OSError:  # the cores were taken from the process meanwhile
            self._allowed, self._cores = frozenset(os.sched_getaffinity(0)), ()
        return self._cores

    def saw(self, others: Mapping[int, float]) -> None:
        """Tell which share of each core others have used lately."""
        self._busy = dict(others)

    @staticmethod
    def _glance() -> dict[int, float]:
        before, start = core_times(), time.perf_counter()
        if not before:
            return {}
        time.sleep(_GLANCE_S)
        return busy_shares(before, core_times(), time.perf_counter() - start)
