"""Campaigns on a machine that is made up: its time goes on by a second with every visit."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from devices import Measurement, MeasureSettings
from nas.campaign import Campaign, Pair
from nas.visits import BOOT, TIME, agreement, merge, visit_settings

SETTINGS = MeasureSettings()
NETWORKS = [(f"n{i:02d}", "cpu") for i in range(24)]
Level = Callable[[float], float]


class KilledError(Exception):
    """The process ended."""


class Machine:
    """Keeps visits as a ledger does.

    Args:
        level: how slow the machine is at each second.
        busy: whether others use it at each second.
        broken: networks that cannot be measured.
    """

    def __init__(self, level: Level = lambda _: 1.0, busy: Level = lambda _: 0.0, broken: tuple[str, ...] = ()) -> None:
        self.level, self.busy, self.broken = level, busy, broken
        self.kept: dict[tuple[str, int], Measurement] = {}
        self.made: list[tuple[str, int]] = []
        self.now = 0.0
        self.lives = math.inf
        self.rng = np.random.default_rng(0)

    def known(self, pair: Pair, visit: int) -> Measurement | None:
        found = self.kept.get((pair[0], visit))
        return found if found is not None and found.ok else None

    def known_sentinel(self, target: str, visit: int) -> Measurement | None:
        return self.known(("sentinel", target), visit)

    def measure_sentinel(self, target: str, visit: int) -> Measurement:
        return self.measure(("sentinel", target), visit)

    def measure(self, pair: Pair, visit: int) -> Measurement:
        name = pair[0]
        if self.lives <= 0:
            raise KilledError
        self.lives -= 1
        self.now += 1.0
        self.made.append((name, visit))
        true_s = 1e-3 * (1 if name == "sentinel" else 1 + int(name[1:]) / 10)
        asked = visit_settings(SETTINGS, 2, visit)
        made = Measurement("0" * 64, "onnx", "int8", "cpu", asked, error="it fell")
        if name not in self.broken:
            seconds = true_s * self.level(self.now) * (1 + self.busy(self.now))
            noise = np.exp(0.002 * self.rng.standard_normal(30))
            flags = ("busy",) if self.busy(self.now) else ()
            made = replace(made, error=None, latencies_s=tuple(seconds * noise), flags=flags)
        made = replace(made, environment=((BOOT, "a"), (TIME, str(self.now))))
        self.kept[name, visit] = made
        return made


def orders(passes: int = 2) -> list[list[Pair]]:
    rng = np.random.default_rng(1)
    return [[NETWORKS[i] for i in rng.permutation(len(NETWORKS))] for _ in range(passes)]


def campaign(machine: Machine, **options: object) -> Campaign:
    return Campaign(orders(), machine, watched=["cpu"], **options)  # type: ignore[arg-type]


def results(made: Campaign) -> dict[str, Measurement]:
    drift = made.drift("cpu")
    return {pair[0]: merge(visits, SETTINGS, 2, drift) for pair, visits in made.visits.items()}


def errors(made: Campaign, *, corrected: bool) -> list[float]:
    found = results(made)
    values = [
        (m.corrected_s() if corrected else m.median_s) / (1e-3 * (1 + int(name[1:]) / 10)) for name, m in found.items()
    ]
    return [abs(value / float(np.median(values)) - 1) for value in values]


def test_every_network_is_visited_in_every_pass_with_sentinels_around() -> None:
    machine = Machine()
    made = campaign(machine)
    made.run()
    names = [name for name, _ in machine.made]
    assert all(names.count(pair[0]) == 2 for pair in NETWORKS)
    assert names[0] == names[-1] == "sentinel"
    gaps = [i for i, name in enumerate(names) if name == "sentinel"]
    assert max(b - a for a, b in pairwise(gaps)) <= 9
    found = results(made)
    assert all(m.flags == () and m.drift == 1.0 and len(m.latencies_s) == 60 for m in found.values())
    agreed = agreement(made.visits, made.drift("cpu"))
    assert agreed["networks"] == 24 and agreed["spearman"] > 0.99 and agreed["median_difference"] < 0.01


def test_slow_drift_is_taken_out_and_the_raw_samples_are_kept() -> None:
    made = campaign(Machine(level=lambda now: 1 + 0.15 * now / 60))
    made.run()
    assert max(errors(made, corrected=False)) > 0.02
    assert max(errors(made, corrected=True)) < 0.012
    raw = agreement(made.visits, made.drift("cpu"), corrected=False)["median_difference"]
    assert agreement(made.visits, made.drift("cpu"))["median_difference"] < 0.2 * raw
    for name, measurement in results(made).items():
        kept = [m for visit in made.visits[name, "cpu"] for m in visit.measurement.latencies_s]
        assert sorted(kept) == sorted(measurement.latencies_s)


def test_disturbed_visits_are_made_again_and_not_averaged_in() -> None:
    machine = Machine(busy=lambda now: 0.5 if 10 <= now < 15 else 0.0)
    made = campaign(machine)
    made.run()
    again = [visit for visits in made.visits.values() for visit in visits if visit.attempt]
    assert 3 <= len(again) <= 5 and not any(visit.measurement.flags for visit in again)
    assert max(errors(made, corrected=True)) < 0.012
    assert all("busy" not in measurement.flags for measurement in results(made).values())


def test_jump_between_sentinels_is_measured_again() -> None:
    made = campaign(Machine(level=lambda now: 1.0 if now < 14 else 1.3))
    made.run()
    assert sum(visit.attempt > 0 for visits in made.visits.values() for visit in visits) >= 4
    assert max(errors(made, corrected=True)) < 0.012


def test_on_a_machine_that_is_always_busy_everything_is_flagged_and_little_is_repeated() -> None:
    machine = Machine(busy=lambda _: 0.5)
    made = campaign(machine)
    made.run()
    assert all("busy" in measurement.flags for measurement in results(made).values())
    assert len(machine.made) <= 1.25 * 48 + 14


def test_what_cannot_be_measured_is_a_row_and_is_not_visited_again() -> None:
    machine = Machine(broken=("n03", "sentinel"))
    made = campaign(machine)
    made.run()
    found = results(made)
    assert found["n03"].error == "it fell" and found["n03"].settings == SETTINGS
    assert [name for name, _ in machine.made].count("n03") == 1
    assert found["n04"].ok and found["n04"].drift is None


@pytest.mark.parametrize("life", [2, 5, 11, 30])
def test_killed_again_and_again_it_makes_every_visit_once(life: int) -> None:
    machine = Machine(busy=lambda now: 0.5 if 20 <= now < 23 else 0.0)
    for _ in range(200):
        machine.lives = life
        made = campaign(machine)
        try:
            made.run()
        except KilledError:
            continue
        break
    else:
        pytest.fail("it never came to an end")
    assert len(machine.made) == len(set(machine.made))
    assert all(m.ok and not m.flags for m in results(made).values())
    names = [name for name, _ in machine.made]
    assert all(names.count(pair[0]) >= 2 for pair in NETWORKS)


def test_what_is_settled_is_only_looked_up() -> None:
    machine = Machine()
    made = campaign(machine, settled=NETWORKS)
    made.run()
    assert machine.made == [] and made.visits[NETWORKS[0]] == []


@pytest.mark.parametrize("settled", [(), NETWORKS[3:5]])
def test_every_pair_of_every_pass_is_told_of_once(settled: list[Pair]) -> None:
    """Whatever is skipped too: progress counts them."""
    told = []
    machine = Machine(busy=lambda now: 0.5 if 20 <= now < 23 else 0.0, broken=("n07",))
    made = campaign(
        machine, settled=settled, on_visit=lambda pair, visit: told.append((pair, visit.attempt if visit else 0))
    )
    made.run()
    firsts = [pair for pair, attempt in told if not attempt]
    assert sorted(firsts) == sorted([*NETWORKS, *NETWORKS])
    assert len(told) > len(firsts)


def test_visits_divide_a_measurement() -> None:
    settings = MeasureSettings(min_count=51, min_time_s=0.5, max_time_s=10.0, ci_width=0.02)
    first, second = (visit_settings(settings, 2, visit) for visit in (1, 2))
    assert (first.min_count, first.min_time_s, first.max_time_s) == (26, 0.25, 5.0)
    assert first.ci_width == pytest.approx(0.02 * 2**0.5)
    assert first.thorough and not second.thorough and first.key != second.key != settings.key
    assert visit_settings(settings, 1, 1).min_count == 51


def test_one_pass_that_counts_is_told_and_passes_that_differ_too() -> None:
    machine = Machine(busy=lambda now: 0.5 if now > 28 else 0.0)  # the second pass
    made = campaign(machine)
    made.run()
    found = results(made)
    assert all(m.flags == ("one_pass",) and len(m.latencies_s) == 30 for m in found.values())
    unwatched = Campaign(orders(), Machine(level=lambda now: 1.0 if now < 25 else 1.2))
    unwatched.run()
    assert all(m.flags == ("passes_differ",) and m.drift is None for m in results(unwatched).values())


def test_visits_that_are_unsure_alone_may_be_sure_together() -> None:
    made = campaign(Machine())
    made.run()
    visits = [
        replace(visit, measurement=replace(visit.measurement, flags=("unsteady",)))
        for visit in made.visits[NETWORKS[0]]
    ]
    assert merge(visits, SETTINGS, 2, made.drift("cpu")).flags == ()
    strict = replace(SETTINGS, ci_width=1e-6)
    assert merge(visits, strict, 2, made.drift("cpu")).flags == ("unsteady",)
