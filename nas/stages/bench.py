"""Where a campaign measures: on targets or one unit of a pool, with everything kept in the ledger."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from devices import Artifact, Measurement, MeasureSettings
from nas.campaign import Pair
from nas.distributed.unit_device import UnitDevice
from nas.ledger import Ledger
from nas.stages.models import Artifacts
from nas.stages.targets import Target
from nas.visits import BOOT, TIME, visit_settings

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Bench:
    """Measures on targets and keeps everything in a ledger.

    Args:
        ledger: keeps every visit.
        targets: where to measure.
        artifacts: model files by network.
        passes: visits that a measurement is divided into.
        sentinels: the sentinel's model file by target that has one.
        unit: name of the unit of a pool that measures, whose sentinels are its own; none for this process.
        devices: the unit's, by target.
    """

    def __init__(
        self,
        ledger: Ledger,
        targets: Sequence[Target],
        artifacts: Mapping[str, Artifacts],
        *,
        passes: int,
        sentinels: Mapping[str, Artifact],
        unit: str | None = None,
        devices: Mapping[str, UnitDevice] = MappingProxyType({}),
    ) -> None:
        self.targets = {target.name: target for target in targets}
        self._keys = {name: target.device.info().key for name, target in self.targets.items()}
        self._ledger, self._artifacts, self._passes = ledger, artifacts, passes
        self._sentinels, self._unit, self._devices = sentinels, unit, devices

    def on(self, unit: str, devices: Mapping[str, UnitDevice] = MappingProxyType({})) -> Bench:
        """The same on one unit of a pool; without devices it only finds what was measured before."""
        return Bench(
            self._ledger,
            list(self.targets.values()),
            self._artifacts,
            passes=self._passes,
            sentinels=self._sentinels,
            unit=unit,
            devices=devices,
        )

    def settled(self, pair: Pair) -> Measurement | None:
        """The whole measurement of a pair, if it was made before."""
        return self._known(self._keys[pair[1]], self._artifact(pair), self.targets[pair[1]].settings)

    def keep(self, pair: Pair, measurement: Measurement) -> Measurement:
        """Record a whole measurement; what everyone sees under its key."""
        self._ledger.record(measurement, self._keys[pair[1]])
        return self.settled(pair) or measurement

    def known(self, pair: Pair, visit: int) -> Measurement | None:
        """See ``nas.campaign.Bench``."""
        return self._known(self._keys[pair[1]], self._artifact(pair), self._settings(pair[1], visit))

    def measure(self, pair: Pair, visit: int) -> Measurement:
        """See ``nas.campaign.Bench``."""
        return self._measure(pair[1], self._artifact(pair), self._settings(pair[1], visit), self._keys[pair[1]])

    def known_sentinel(self, target: str, visit: int) -> Measurement | None:
        """See ``nas.campaign.Bench``."""
        return self._known(self._watched(target), self._sentinels[target], self._sentinel_settings(target, visit))

    def measure_sentinel(self, target: str, visit: int) -> Measurement:
        """See ``nas.campaign.Bench``."""
        settings = self._sentinel_settings(target, visit)
        return self._measure(target, self._sentinels[target], settings, self._watched(target))

    def _watched(self, target: str) -> str:
        """Whose sentinel it is: equal devices share measurements, but each has a clock and a temperature of its own."""
        key = self._keys[target]
        return key if self._unit is None else f"{key}@{self._unit}"

    def _artifact(self, pair: Pair) -> Artifact:
        return self._artifacts[pair[0]][self.targets[pair[1]].variant]

    def _settings(self, target: str, visit: int) -> MeasureSettings:
        return visit_settings(self.targets[target].settings, self._passes, visit)

    def _sentinel_settings(self, target: str, visit: int) -> MeasureSettings:
        return replace(self._settings(target, visit), thorough=False)

    def _known(self, key: str, artifact: Artifact, settings: MeasureSettings) -> Measurement | None:
        found = self._ledger.get(artifact.sha256, key, settings.key)
        return found if found is not None and found.ok else None

    def _measure(self, target: str, artifact: Artifact, settings: MeasureSettings, key: str) -> Measurement:
        unit = self._devices.get(target)
        if unit is None:
            made = dated(self.targets[target].device.measure(artifact, settings))
        else:
            made = dated(unit.measure(artifact, settings), unit.lease.place)
        self._ledger.record(made, key)
        return self._ledger.get(artifact.sha256, key, settings.key) or made


def dated(measurement: Measurement, place: str | None = None) -> Measurement:
    """The measurement with the moment by a clock that nobody sets: that of this machine, wherever the device is.

    Args:
        measurement: just made.
        place: what measured, where there are several; moments of one place are no neighbours of another's.
    """
    if dict(measurement.environment).get("simulated"):
        return measurement  # the same at every time
    try:
        boot = _BOOT_ID.read_text(encoding="ascii").strip()[:8]
    except OSError:
        boot = "unknown"
    where = boot if place is None else f"{boot}@{place}"
    moment = ((BOOT, where), (TIME, f"{time.monotonic():.3f}"))
    return replace(measurement, environment=(*measurement.environment, *moment))
