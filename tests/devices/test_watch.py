from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from devices import watch
from devices.cores import CoreTimes
from devices.watch import Snapshot, compare, snapshot

QUIET = {0: CoreTimes(10.0, 0.0), 1: CoreTimes(10.0, 0.0), 2: CoreTimes(10.0, 0.0)}
BEFORE = Snapshot(
    100.0, 5000.0, own_s=3.0, waited_s=0.1, cores=QUIET, clock_mhz=3000.0, governor="performance",
    temperature_c=50.0, throttled=4, load_average=0.5, energy_j=1000.0,
)  # fmt: skip


@pytest.fixture(autouse=True)
def whole_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "siblings", lambda core: frozenset({core}))


def after(busy_s: tuple[float, ...] = (1.0, 0.0, 0.0), steal_s: float = 0.0, **changes: Any) -> Snapshot:
    """One second later: core 0 was ours all the time."""
    times = {
        core: CoreTimes(10.0 + used, steal_s if core == 0 else 0.0) for core, used in zip(range(3), busy_s, strict=True)
    }
    later = replace(BEFORE, monotonic_s=101.0, wall_s=5001.0, own_s=4.0, cores=times, energy_j=1012.0)
    return replace(later, **changes)


def test_nothing_speaks_against_a_quiet_second() -> None:
    seen = compare(BEFORE, after(), [0], 1)
    assert seen.flags == ()
    assert seen.energy_j == 12.0
    assert seen.others == {0: 0.0, 1: 0.0, 2: 0.0}
    facts = dict(seen.facts)
    assert facts["clock_mhz_before"] == facts["clock_mhz_after"] == "3000"
    assert facts["temperature_c_after"] == "50.0"
    assert float(facts["away_share"]) == float(facts["others_share"]) == float(facts["elsewhere_share"]) == 0.0


@pytest.mark.parametrize(
    ("later", "threads", "flags"),
    [
        (after(own_s=3.9, busy_s=(1.0, 0.0, 0.0)), 1, ("busy",)),  # away from its core for a tenth of the time
        (after(own_s=3.98), 1, ()),
        (after(steal_s=0.1), 1, ("busy",)),
        (after(busy_s=(1.0, 0.9, 0.9)), 1, ()),  # other cores are others' business
        (after(clock_mhz=2700.0), 1, ("clock",)),
        (after(clock_mhz=2900.0), 1, ()),
        (after(clock_mhz=None), 1, ()),
        (after(throttled=5), 1, ("throttled",)),
        (after(governor="powersave"), 1, ("governor",)),
        (after(wall_s=5100.0), 1, ("time",)),  # somebody set the clock; the samples are of another clock
        (after(wall_s=4000.0), 1, ("time",)),
        (after(waited_s=0.6, own_s=4.5), 2, ("busy",)),
        (after(own_s=3.5, busy_s=(0.3, 0.2, 0.0)), 2, ()),  # two threads that wait for each other are not kept away
        (after(own_s=3.1, busy_s=(0.1, 0.0, 0.0), waited_s=0.1), 0, ()),  # the processor waited for another
        (after(own_s=3.0, cores={}), 1, ("busy",)),  # no word of the cores: time away is enough
    ],
)
def test_what_happens_meanwhile_is_flagged(later: Snapshot, threads: int, flags: tuple[str, ...]) -> None:
    cores = [0] if threads < 2 else [0, 1]
    assert compare(BEFORE, later, cores, threads).flags == flags


def test_other_half_of_a_core_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "siblings", lambda core: frozenset({0, 1}) if core < 2 else frozenset({core}))
    assert compare(BEFORE, after(busy_s=(1.0, 0.5, 0.0)), [0], 1).flags == ("busy",)
    assert compare(BEFORE, after(busy_s=(1.0, 0.0, 0.5)), [0], 1).flags == ()


def test_few_ticks_are_the_counting_and_not_others() -> None:
    short: dict[str, Any] = {"monotonic_s": 100.2, "wall_s": 5000.2, "own_s": 3.2, "busy_s": (0.16, 0.0, 0.0)}
    assert compare(BEFORE, after(steal_s=0.02, **short), [0], 1).flags == ()
    assert compare(BEFORE, after(steal_s=0.04, **short), [0], 1).flags == ("busy",)


def test_a_counter_that_began_anew_tells_nothing() -> None:
    assert compare(BEFORE, after(energy_j=3.0), [0], 1).energy_j is None
    assert compare(BEFORE, after(energy_j=None), [0], 1).energy_j is None


def test_this_machine_can_be_watched() -> None:
    before = snapshot([0])
    later = snapshot([0])
    assert later.monotonic_s > before.monotonic_s
    assert compare(before, later, [0], 1).facts
