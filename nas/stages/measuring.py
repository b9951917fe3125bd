"""How stages measure: every network in several visits, with a sentinel in between; what was made before is found."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from devices import Artifact, Measurement, MeasureSettings
from nas.campaign import Campaign, Pair
from nas.candidate import Metric
from nas.ledger import Ledger
from nas.sentinel import write_sentinel
from nas.stages.context import Context
from nas.stages.models import Artifacts
from nas.stages.targets import Target
from nas.visits import BOOT, TIME, Visit, agreement, count_flags, describe, merge, visit_settings

Row = dict[str, Any]

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


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
    orders: Sequence[Sequence[Pair]],
    *,
    sentinels: Path,
    on_visit: Callable[[Pair, Visit | None], None] = lambda _pair, _visit: None,
) -> Measured:
    """Measure networks on targets, and keep everything in a ledger.

    Args:
        ledger: keeps every visit, and what the visits to each network come to.
        targets: where to measure.
        artifacts: model files by network.
        orders: for each pass, networks' keys and targets' names in the order they are visited.
        sentinels: folder of the sentinel's model files.
        on_visit: told of each visit, as by a ``Campaign``.

    Raises:
        NasError: a ledger that cannot be used.
    """
    bench = _Bench(ledger, targets, artifacts, passes=len(orders), sentinels=sentinels)
    before = {pair: bench.settled(pair) for pair in orders[0]}
    done = {pair: measurement for pair, measurement in before.items() if measurement is not None}
    campaign = Campaign(orders, bench, watched=bench.sentinels.keys(), settled=done.keys(), on_visit=on_visit)
    campaign.run()
    drifts = {target.name: campaign.drift(target.name) for target in targets}
    for pair in orders[0]:
        if pair not in done:
            settings = bench.targets[pair[1]].settings
            done[pair] = bench.keep(pair, merge(campaign.visits[pair], settings, len(orders), drifts[pair[1]]))
    quality = {target.name: _summary(campaign, done, target.name) for target in targets}
    return Measured({pair: done[pair] for pair in orders[0]}, quality)


class _Bench:
    """Measures on targets and keeps everything in a ledger."""

    def __init__(
        self,
        ledger: Ledger,
        targets: Sequence[Target],
        artifacts: Mapping[str, Artifacts],
        *,
        passes: int,
        sentinels: Path,
    ) -> None:
        self.targets = {target.name: target for target in targets}
        self._keys = {name: target.device.info().key for name, target in self.targets.items()}
        self._ledger = ledger
        self._artifacts = artifacts
        self._passes = passes
        # A simulated device does not drift: nothing is timed there.
        real = [target for target in targets if target.device.info().kind != "simulated"]
        written = write_sentinel(sentinels, [target.variant for target in real]) if real else {}
        self.sentinels = {target.name: written[target.variant] for target in real}

    def settled(self, pair: Pair) -> Measurement | None:
        """The whole measurement of a pair, if it was made before."""
        return self._known(pair[1], self._artifact(pair), self.targets[pair[1]].settings)

    def keep(self, pair: Pair, measurement: Measurement) -> Measurement:
        """Record a whole measurement; what everyone sees under its key."""
        self._ledger.record(measurement, self._keys[pair[1]])
        return self.settled(pair) or measurement

    def known(self, pair: Pair, visit: int) -> Measurement | None:
        return self._known(pair[1], self._artifact(pair), self._settings(pair[1], visit))

    def measure(self, pair: Pair, visit: int) -> Measurement:
        return self._measure(pair[1], self._artifact(pair), self._settings(pair[1], visit))

    def known_sentinel(self, target: str, visit: int) -> Measurement | None:
        return self._known(target, self.sentinels[target], self._sentinel_settings(target, visit))

    def measure_sentinel(self, target: str, visit: int) -> Measurement:
        return self._measure(target, self.sentinels[target], self._sentinel_settings(target, visit))

    def _artifact(self, pair: Pair) -> Artifact:
        return self._artifacts[pair[0]][self.targets[pair[1]].variant]

    def _settings(self, target: str, visit: int) -> MeasureSettings:
        return visit_settings(self.targets[target].settings, self._passes, visit)

    def _sentinel_settings(self, target: str, visit: int) -> MeasureSettings:
        return replace(self._settings(target, visit), thorough=False)

    def _known(self, target: str, artifact: Artifact, settings: MeasureSettings) -> Measurement | None:
        found = self._ledger.get(artifact.sha256, self._keys[target], settings.key)
        return found if found is not None and found.ok else None

    def _measure(self, target: str, artifact: Artifact, settings: MeasureSettings) -> Measurement:
        made = _dated(self.targets[target].device.measure(artifact, settings))
        self._ledger.record(made, self._keys[target])
        return self._ledger.get(artifact.sha256, self._keys[target], settings.key) or made


def _dated(measurement: Measurement) -> Measurement:
    """The measurement with the moment by a clock that nobody sets: that of this machine, wherever the device is."""
    if dict(measurement.environment).get("simulated"):
        return measurement  # the same at every time
    try:
        boot = _BOOT_ID.read_text(encoding="ascii").strip()[:8]
    except OSError:
        boot = "unknown"
    moment = ((BOOT, boot), (TIME, f"{time.monotonic():.3f}"))
    return replace(measurement, environment=(*measurement.environment, *moment))


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
