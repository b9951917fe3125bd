"""What goes on around timed inferences, on the cores they run on, and what of it speaks against them.

Flags, each with the reason that raises it:

``busy``       others kept the inferences from their cores, or used a core's other half, for more than 5 % of the time
``clock``      the cores' clock changed by more than 5 %
``throttled``  the processor says that it slowed down for its temperature or power
``governor``   what governs the clock was changed
``time``       the wall clock was set meanwhile: the samples stand, their date may not
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from devices import sensors
from devices.cores import CoreTimes, busy_shares, core_times, siblings

_BUSY_SHARE = 0.05
_FEWEST_TICKS_S = 0.03
"""Times of cores are counted in hundredths of a second; fewer than three may be the counting."""

_CLOCK_CHANGE = 0.05
_CLOCK_SET_S = 1.0

Facts = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the system tells at one moment; what it does not tell is none or empty.

    Attributes:
        monotonic_s: a clock that nobody sets.
        wall_s: the clock that people set.
        own_s: processor time of this process.
        waited_s: time that this process's threads were ready to run and had no core.
        cores: times of every core.
        clock_mhz: mean clock of the watched cores.
        governor: what governs their clock.
        temperature_c: of the processor.
        throttled: how often the watched cores slowed down so far.
        load_average: of one minute.
        energy_j: that the processor's packages took so far.
    """

    monotonic_s: float
    wall_s: float
    own_s: float = 0.0
    waited_s: float | None = None
    cores: Mapping[int, CoreTimes] = field(default_factory=dict)
    clock_mhz: float | None = None
    governor: str | None = None
    temperature_c: float | None = None
    throttled: int | None = None
    load_average: float | None = None
    energy_j: float | None = None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What was found between two moments.

    Attributes:
        facts: as pairs of texts.
        flags: what speaks against the samples.
        others: share of every core that others used.
        energy_j: joules that the processor's packages took.
    """

    facts: Facts
    flags: tuple[str, ...]
    others: Mapping[int, float]
    energy_j: float | None


def snapshot(cores: Sequence[int]) -> Snapshot:
    """The present moment, as seen from these cores."""
    load = None
    with contextlib.suppress(AttributeError, OSError):
        load = os.getloadavg()[0]
    return Snapshot(
        monotonic_s=time.perf_counter(),
        wall_s=time.time(),
        own_s=time.process_time(),
        waited_s=sensors.waited_s(),
        cores=core_times(),
        clock_mhz=sensors.clock_mhz(cores),
        governor=sensors.governor(cores),
        temperature_c=sensors.temperature_c(),
        throttled=sensors.throttle_count(cores),
        load_average=load,
        energy_j=sensors.energy_j(),
    )


def compare(before: Snapshot, after: Snapshot, cores: Sequence[int], threads: int) -> Surroundings:
    """What went on between two snapshots around inferences on these cores.

    Args:
        before: taken before the inferences.
        after: taken after them.
        cores: that the process was pinned to.
        threads: that computed all the time; 0 where the processor only waited for another.
    """
    elapsed = max(after.monotonic_s - before.monotonic_s, 1e-9)
    others = busy_shares(before.cores, after.cores, elapsed)
    ours = [core for core in cores if core in others]
    if ours:  # how much of each was our own is not known, of all together it is
        left = sum(others[core] for core in ours) - (after.own_s - before.own_s) / elapsed
        others |= dict.fromkeys(ours, max(0.0, left / len(ours)))
    taken = _shares(before, after, elapsed, others, cores=cores, threads=threads)
    facts = [(name, f"{share:.4f}") for name, share in taken.items()]
    moments = (("before", before), ("after", after))
    facts += [(f"clock_mhz_{when}", f"{seen.clock_mhz:.0f}") for when, seen in moments if seen.clock_mhz is not None]
    facts += [
        (f"temperature_c_{when}", f"{seen.temperature_c:.1f}")
        for when, seen in moments
        if seen.temperature_c is not None
    ]
    if after.load_average is not None:
        facts.append(("load_average_after", f"{after.load_average:.2f}"))
    energy = None
    if before.energy_j is not None and after.energy_j is not None and after.energy_j >= before.energy_j:
        energy = after.energy_j - before.energy_j  # less than before: the counter has begun anew
    return Surroundings(tuple(facts), _flags(before, after, taken, elapsed), others, energy)


def _shares(
    before: Snapshot,
    after: Snapshot,
    elapsed: float,
    others: Mapping[int, float],
    *,
    cores: Sequence[int],
    threads: int,
) -> dict[str, float]:
    """Shares of the time, 0 to 1, by name; those that the system does not tell are left out."""
    found: dict[str, float] = {}
    known = [core for core in cores if core in others]
    if known:
        found["others_share"] = sum(others[core] for core in known) / len(known)
        stolen = sum(after.cores[core].steal_s - before.cores[core].steal_s for core in known)
        found["steal_share"] = max(0.0, stolen / elapsed / len(known))
        halves = {other for core in known for other in siblings(core)} - set(cores)
        if halves:
            found["sibling_share"] = max(others.get(core, 0.0) for core in halves)
        elsewhere = [share for core, share in others.items() if core not in cores]
        if elsewhere:
            found["elsewhere_share"] = sum(elsewhere) / len(elsewhere)
    if threads == 1:  # one thread that computes all the time is away only where it was kept away
        found["away_share"] = min(1.0, max(0.0, 1 - (after.own_s - before.own_s) / elapsed))
    elif before.waited_s is not None and after.waited_s is not None:
        found["away_share"] = max(0.0, after.waited_s - before.waited_s) / elapsed / max(threads, 1)
    return found


def _flags(before: Snapshot, after: Snapshot, taken: Mapping[str, float], elapsed: float) -> tuple[str, ...]:
    flags = []
    counted = max(_BUSY_SHARE, _FEWEST_TICKS_S / elapsed)
    by_ticks = max(taken.get(name, 0.0) for name in ("others_share", "steal_share", "sibling_share"))
    if by_ticks > counted or taken.get("away_share", 0.0) > _BUSY_SHARE:
        flags.append("busy")
    if before.clock_mhz and after.clock_mhz and abs(after.clock_mhz / before.clock_mhz - 1) > _CLOCK_CHANGE:
        flags.append("clock")
    if before.throttled is not None and after.throttled is not None and after.throttled > before.throttled:
        flags.append("throttled")
    if before.governor != after.governor:
        flags.append("governor")
    if abs(after.wall_s - before.wall_s - elapsed) > _CLOCK_SET_S:
        flags.append("time")
    return tuple(flags)
