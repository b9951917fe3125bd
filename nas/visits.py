"""Several visits to one network on one target, and what they come to.

Every visit is a row of the ledger with raw samples of its own; what is made of them keeps all samples it rests on, and
says of which visits they are.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from devices import Measurement, MeasureSettings
from devices.interval import relative_width
from nas.drift import Drift

DISTURBED = frozenset({"busy", "clock", "throttled", "governor", "drifting", "unsteady", "jump"})
"""Flags of a visit that is made again if there is time, and left out where the network has another without."""

FLAGS: Mapping[str, str] = {
    "busy": "others used its cores for more than 5 % of the time",
    "clock": "the cores' clock changed by more than 5 %",
    "throttled": "the processor slowed down for its temperature or power",
    "governor": "what governs the clock was changed",
    "time": "the wall clock was set meanwhile, so the date may be wrong; the samples are not",
    "drifting": "the samples grew faster or slower by more than 5 %",
    "unsteady": "the median is less sure than asked",
    "jump": "the sentinels before and after it differ by more than 5 %",
    "one_pass": "only one pass counts, for the others failed or were disturbed",
    "passes_differ": "the passes' medians differ by more than 5 %",
}
"""What each flag of a measurement says."""

_DIFFERENT = 0.05

TIME, BOOT = "monotonic_s", "boot"
"""Names in a measurement's environment: when it was made, by the clock of the machine that ran the campaign."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One measurement of a network on a target.

    Attributes:
        number: the pass that it belongs to.
        attempt: 0 for the first of that pass.
        measurement: what came of it.
    """

    number: int
    attempt: int
    measurement: Measurement

    def factor(self, drift: Drift) -> float:
        """How many times as long as usual the device took then."""
        return drift.factor(*moment(self.measurement))

    def flags(self, drift: Drift) -> tuple[str, ...]:
        """What speaks against the samples, a jump of the sentinel included."""
        jump = ("jump",) if drift.jumped(*moment(self.measurement)) else ()
        return (*self.measurement.flags, *jump)

    def disturbed(self, drift: Drift) -> bool:
        """Whether it should be made again."""
        return self.measurement.ok and not DISTURBED.isdisjoint(self.flags(drift))


def visit_settings(settings: MeasureSettings, passes: int, visit: int) -> MeasureSettings:
    """How one of several visits is made: together they take the time and the samples of one measurement.

    Each loads the file afresh, so each warms up in full.

    Args:
        settings: of the whole measurement.
        passes: visits that it is divided into.
        visit: which one, from 1.
    """
    return replace(
        settings,
        min_time_s=settings.min_time_s / passes,
        max_time_s=settings.max_time_s / passes,
        min_count=math.ceil(settings.min_count / passes),
        # The width falls with the root of the count.
        ci_width=None if settings.ci_width is None else min(1.0, settings.ci_width * math.sqrt(passes)),
        visit=visit,
        thorough=settings.thorough and visit == 1,
    )


def moment(measurement: Measurement) -> tuple[str, float]:
    """The start of the machine, and seconds of its clock, when a measurement was made."""
    found = dict(measurement.environment)
    try:
        return found.get(BOOT, ""), float(found[TIME])
    except (KeyError, ValueError):
        return "", math.nan  # made elsewhere: no sentinel was near


def merge(visits: Sequence[Visit], settings: MeasureSettings, passes: int, drift: Drift) -> Measurement:
    """The measurement that the visits to one network come to, with all samples of those that count.

    Of every pass the last undisturbed visit counts; disturbed ones only where there are no others, and then their flags
    stay. ``one_pass`` says that a pass is missing, ``passes_differ`` that the passes' medians do by more than 5 %.

    Args:
        visits: all visits; at least one.
        settings: of the whole measurement.
        passes: how many there should be.
        drift: of the device.
    """
    counted = choose(visits, drift)
    if not counted:
        return replace(visits[-1].measurement, settings=settings)
    made = [visit.measurement for visit in counted]
    samples = [sample for measurement in made for sample in measurement.latencies_s]
    corrected = [s / visit.factor(drift) for visit in counted for s in visit.measurement.latencies_s]
    flags = {flag for visit in counted for flag in visit.flags(drift)}
    if settings.ci_width is not None and relative_width(corrected) <= settings.ci_width:
        flags.discard("unsteady")  # one visit was too few samples, together they are enough
    medians = [visit.measurement.median_s / visit.factor(drift) for visit in counted]
    if len(counted) < passes:
        flags.add("one_pass")
    if max(medians) > (1 + _DIFFERENT) * min(medians):
        flags.add("passes_differ")
    thorough = next((m for m in made if m.settings.thorough), made[0])
    return replace(
        thorough,
        settings=settings,
        latencies_s=tuple(samples),
        environment=(*thorough.environment, *_described(visits, counted)),
        flags=tuple(sorted(flags)),
        drift=median(samples) / median(corrected) if drift.watched else None,
        energy_j=_mean([m.energy_j for m in made if m.energy_j is not None]),
    )


def choose(visits: Iterable[Visit], drift: Drift) -> list[Visit]:
    """The visits that count, one of a pass."""
    best: dict[int, Visit] = {}
    for visit in sorted(visits, key=lambda v: (v.number, v.attempt)):
        before = best.get(visit.number)
        worse = before is not None and visit.disturbed(drift) and not before.disturbed(drift)
        if visit.measurement.ok and not worse:
            best[visit.number] = visit
    clean = [visit for visit in best.values() if not visit.disturbed(drift)]
    return clean or list(best.values())


def agreement(visits: Mapping[Any, Sequence[Visit]], drift: Drift, *, corrected: bool = True) -> dict[str, Any]:
    """How well the first two passes agree over all networks that have both.

    Returns:
        ``networks``, their ``spearman`` rank correlation, and the ``median_difference`` as a share; None where there
        are too few networks.
    """
    pairs = []
    for of_one in visits.values():
        medians = {
            visit.number: visit.measurement.median_s / (visit.factor(drift) if corrected else 1.0)
            for number in (0, 1)
            for visit in choose([v for v in of_one if v.number == number], drift)
        }
        if len(medians) == 2:
            pairs.append((medians[0], medians[1]))
    differences = [abs(second / first - 1) for first, second in pairs if first > 0]
    return {
        "networks": len(pairs),
        "spearman": _spearman(pairs),
        "median_difference": median(differences) if differences else None,
    }


def count_flags(measurements: Iterable[Measurement]) -> dict[str, int]:
    """How many measurements carry each flag."""
    return dict(sorted(Counter(flag for measurement in measurements for flag in measurement.flags).items()))


def describe(summary: Mapping[str, Any]) -> str:
    """A summary in one line."""
    agreed, flags = summary["agreement"], summary["flags"]
    parts = [f"{summary['networks']} networks measured"]
    if agreed["spearman"] is not None and agreed["median_difference"] is not None:
        parts.append(
            f"two passes agree with rank correlation {agreed['spearman']:.3f} and a median difference of "
            f"{agreed['median_difference']:.1%}"
        )
    if summary["sentinels"]:
        drift = summary["largest_drift"]
        parts.append(f"drift of up to {drift:.1%} taken out" if drift else "no drift")
    if summary["repeated"]:
        parts.append(f"{summary['repeated']} visits made again")
    told = ", ".join(f"{flag} {count}" for flag, count in flags.items())
    parts.append(f"flagged: {told}" if told else "nothing flagged")
    return "; ".join(parts)


def _described(visits: Sequence[Visit], counted: Sequence[Visit]) -> Iterable[tuple[str, str]]:
    yield "visits", f"{len(counted)} counted of {len(visits)}"
    yield "visit_medians_s", " ".join(f"{visit.measurement.median_s:.9g}" for visit in counted)


def _spearman(pairs: Sequence[tuple[float, float]]) -> float | None:
    from scipy.stats import spearmanr  # noqa: PLC0415 (takes long to import)

    first, second = {a for a, _ in pairs}, {b for _, b in pairs}
    if len(first) < 2 or len(second) < 2:
        return None
    return float(spearmanr([a for a, _ in pairs], [b for _, b in pairs])[0])


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
