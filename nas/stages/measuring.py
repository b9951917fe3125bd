"""How stages measure: every network in several visits, with a sentinel in between; what was made before is found."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from devices import Measurement
from nas.campaign import Campaign, Pair
from nas.candidate import Metric
from nas.distributed.lease import Lease
from nas.distributed.measuring import Orders, measure_on_units
from nas.distributed.pool import PooledDevice
from nas.ledger import Ledger
from nas.stages.bench import Bench
from nas.stages.context import Context
from nas.stages.models import Artifacts
from nas.stages.targets import Target
from nas.visits import Visit, agreement, count_flags, describe, merge

Row = dict[str, Any]
OnVisit: TypeAlias = Callable[[Pair, Visit | None], None]


@dataclass(frozen=True)
class Measured:
    """What a campaign came to.

    Attributes:
        measurements: of every pair, failures among them.
        quality: by target how the passes agreed, the drift that was taken out, and the flags.
    """

    measurements: Mapping[Pair, Measurement]
    quality: Mapping[str, Row]


def measure_all(context: Context, stage: str, order: Sequence[Pair], artifacts: Mapping[str, Artifacts]) -> Measured:
    """Measure networks on a run's targets, as the profile section of its config says.

    Args:
        context: the run.
        stage: name of the stage, for its folder and for whoever listens.
        order: networks' keys and targets' names in the order of the first pass; later ones have orders of their own.
        artifacts: model files by network.

    Raises:
        NasError: a ledger that cannot be used.
    """
    orders, progress = in_passes(context, stage, order), context.progress
    progress.start(f"{stage}: measuring", sum(map(len, orders)), "visit")

    def tell(pair: Pair, visit: Visit | None) -> None:
        if visit is not None and visit.measurement.error is not None:
            progress.warn(f"{pair[1]} could not measure network {pair[0]}: {visit.measurement.error}")
        progress.advance(0 if visit is not None and visit.attempt else 1, detail=pair[1])

    with context.ledger() as ledger:
        folder = context.path(stage, "sentinel")
        measured = run_campaign(ledger, context.targets, artifacts, orders, sentinels=folder, on_visit=tell)
    for name, row in measured.quality.items():
        progress.note(f"{stage}: {name}: {describe(row)}")
    return measured


def in_passes(context: Context, stage: str, order: Sequence[Pair]) -> list[list[Pair]]:
    """The order of every pass that the config asks for; the first as it is given."""
    passes = range(1, context.config.profile.passes)
    shuffled = (context.rng(stage, "pass", number).permutation(len(order)) for number in passes)
    return [list(order), *([order[i] for i in permutation] for permutation in shuffled)]


def measured_latency(measurement: Measurement) -> Metric:
    """Median latency with its 10th and 90th percentiles, the device's drift taken out."""
    ends = (measurement.corrected_s(10), measurement.corrected_s(90))
    return Metric(measurement.corrected_s(), "s", "measured", ends)


def run_campaign(
    ledger: Ledger,
    targets: Sequence[Target],
    artifacts: Mapping[str, Artifacts],
    orders: Orders,
    *,
    sentinels: Path,
    on_visit: OnVisit = lambda _pair, _visit: None,
) -> Measured:
    """Measure networks on targets, and keep everything in a ledger.

    Pools come last, one after the other, each with all its units at once.

    Args:
        ledger: keeps every visit, and what the visits to each network come to.
        targets: where to measure.
        artifacts: model files by network.
        orders: for each pass, networks' keys and targets' names in the order they are visited.
        sentinels: folder of the sentinel's model files.
        on_visit: told of each visit, as by a ``Campaign``.

    Raises:
        NasError: a ledger that cannot be used, or no unit is left of a pool.
    """
    bench = Bench(ledger, targets, artifacts, passes=len(orders), sentinels=sentinels)
    before = {pair: bench.settled(pair) for pair in orders[0]}
    done = {pair: measurement for pair, measurement in before.items() if measurement is not None}
    pools = {target.name: target.device for target in targets if isinstance(target.device, PooledDevice)}
    here = [[pair for pair in order if pair in done or pair[1] not in pools] for order in orders]
    watched = bench.sentinels.keys() - pools.keys()
    campaign = Campaign(here, bench, watched=watched, settled=done.keys(), on_visit=on_visit)
    campaign.run()
    for name, pool in pools.items():
        missing = [[pair for pair in order if pair not in done and pair[1] == name] for order in orders]
        for part in _measure_on_pool(bench, name, pool, missing, on_visit):
            campaign.add(part)
    drifts = {target.name: campaign.drift(target.name) for target in targets}
    for pair in orders[0]:
        if pair not in done:
            settings = bench.targets[pair[1]].settings
            done[pair] = bench.keep(pair, merge(campaign.visits[pair], settings, len(orders), drifts[pair[1]]))
    quality = {target.name: _summary(campaign, done, target.name) for target in targets}
    return Measured({pair: done[pair] for pair in orders[0]}, quality)


def _measure_on_pool(
    bench: Bench, target: str, pool: PooledDevice, orders: Orders, on_visit: OnVisit
) -> Sequence[Campaign]:
    """The campaigns of a pool's units over some networks."""
    watched, told_once = bench.sentinels.keys() & {target}, _told_once(on_visit)

    def begin(unit: Lease, part: Orders) -> Campaign:
        return Campaign(part, bench.on(unit), watched=watched, on_visit=told_once())

    return measure_on_units(pool, orders, begin)


def _told_once(on_visit: OnVisit) -> Callable[[], OnVisit]:
    """Makes what campaigns tell, which are in several threads, and go on with networks that another has begun."""
    told, lock = Counter[Pair](), threading.Lock()

    def of_campaign() -> OnVisit:
        seen = Counter[Pair]()

        def tell(pair: Pair, visit: Visit | None) -> None:
            with lock:
                first = visit is None or not visit.attempt
                seen[pair] += first
                if not first or seen[pair] > told[pair]:
                    told[pair] += first
                    on_visit(pair, visit)

        return tell

    return of_campaign


def _summary(campaign: Campaign, done: Mapping[Pair, Measurement], target: str) -> Row:
    visits, drift = campaign.of_target(target), campaign.drift(target)
    measured = [measurement for pair, measurement in done.items() if pair[1] == target and measurement.ok]
    factors = [visit.factor(drift) for of_one in visits.values() for visit in of_one if visit.measurement.ok]
    return {
        "networks": len(measured),
        "agreement": agreement(visits, drift),
        "agreement_uncorrected": agreement(visits, drift, corrected=False),
        "drift_method": drift.method,
        "largest_drift": max((abs(factor - 1) for factor in factors), default=0.0),
        "sentinels": len(campaign.sentinels.get(target, ())),
        "repeated": sum(visit.attempt > 0 for of_one in visits.values() for visit in of_one),
        "flags": count_flags(measured),
    }
