"""Where a campaign measures: on targets or on one unit of a pool, with everything kept in the ledger."""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from devices import Artifact, Measurement, MeasureSettings
from devices.measurement import AGE
from nas.campaign import Pair
from nas.distributed.lease import Lease
from nas.distributed.losses import given_up, loss, lost_over
from nas.distributed.sharing import FelledError, LostError, UnfitError
from nas.ledger import Ledger
from nas.sentinel import write_sentinel
from nas.stages.models import Artifacts
from nas.stages.targets import Target
from nas.visits import BOOT, TIME, visit_settings

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Bench:
    """Measures on targets and keeps everything in a ledger; see ``nas.campaign.Bench``.

    Args:
        ledger: keeps every visit.
        targets: where to measure.
        artifacts: model files by network.
        passes: visits that a measurement is divided into.
        sentinels: folder of the sentinel's model files.
    """

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
        self._unit: Lease | None = None
        # A simulated device does not drift: nothing is timed there.
        real = [target for target in targets if target.device.info().kind != "simulated"]
        written = write_sentinel(sentinels, [target.variant for target in real]) if real else {}
        self.sentinels = {target.name: written[target.variant] for target in real}

    def on(self, unit: Lease) -> Bench:
        """The same, where one unit of a pool measures."""
        found = copy.copy(self)
        found._unit = unit
        return found

    def settled(self, pair: Pair) -> Measurement | None:
        """The whole measurement of a pair, if it was made before."""
        return self._known(self._keys[pair[1]], self._artifact(pair), self.targets[pair[1]].settings)

    def keep(self, pair: Pair, measurement: Measurement) -> Measurement:
        """Record a whole measurement; what everyone sees under its key."""
        self._ledger.record(measurement, self._keys[pair[1]])
        return self.settled(pair) or measurement

    def known(self, pair: Pair, visit: int) -> Measurement | None:
        """A visit that was made before and did not fail, or is not tried again."""
        return self._known(self._keys[pair[1]], self._artifact(pair), self._settings(pair[1], visit))

    def measure(self, pair: Pair, visit: int) -> Measurement:
        """Make a visit and keep it.

        Raises:
            FelledError: the unit was lost over it, which is kept; after a few times it is ``known`` to have failed.
        """
        key, artifact, settings = self._keys[pair[1]], self._artifact(pair), self._settings(pair[1], visit)
        try:
            return self._measure(pair[1], key, artifact, settings)
        except LostError as error:
            if self._unit is None or self._unit.closed or isinstance(error, UnfitError):
                raise  # not for what it was at
            before = self._ledger.get(artifact.sha256, key, settings.key)
            device = self.targets[pair[1]].device.name
            failed = lost_over(artifact, device, settings, before, loss(self._unit.name, error))
            self._ledger.record(failed, key)
            raise FelledError(str(error)) from error

    def known_sentinel(self, target: str, visit: int) -> Measurement | None:
        """A visit to a target's sentinel that was made before and did not fail."""
        settings = self._sentinel_settings(target, visit)
        return self._known(self._sentinel_key(target), self.sentinels[target], settings)

    def measure_sentinel(self, target: str, visit: int) -> Measurement:
        """Visit a target's sentinel and keep what comes of it."""
        settings = self._sentinel_settings(target, visit)
        return self._measure(target, self._sentinel_key(target), self.sentinels[target], settings)

    def _sentinel_key(self, target: str) -> str:
        """Equal devices share measurements of networks, but each one drifts in its own way."""
        key = self._keys[target]
        return key if self._unit is None else f"{key}@{self._unit.name}"

    def _artifact(self, pair: Pair) -> Artifact:
        return self._artifacts[pair[0]][self.targets[pair[1]].variant]

    def _settings(self, target: str, visit: int) -> MeasureSettings:
        return visit_settings(self.targets[target].settings, self._passes, visit)

    def _sentinel_settings(self, target: str, visit: int) -> MeasureSettings:
        return replace(self._settings(target, visit), thorough=False)

    def _known(self, key: str, artifact: Artifact, settings: MeasureSettings) -> Measurement | None:
        found = self._ledger.get(artifact.sha256, key, settings.key)
        return found if found is not None and (found.ok or given_up(found)) else None

    def _measure(self, target: str, key: str, artifact: Artifact, settings: MeasureSettings) -> Measurement:
        if self._unit is None:
            made = dated(self.targets[target].device.measure(artifact, settings))
        else:
            made = dated(self._unit.measure(artifact, settings), self._unit.name)
        self._ledger.record(made, key)
        return self._ledger.get(artifact.sha256, key, settings.key) or made


def dated(measurement: Measurement, unit: str | None = None) -> Measurement:
    """The measurement with the moment by a clock that nobody sets: that of this machine, wherever the device is.

    A result that waited at its agent until somebody asked again is as old as the agent says.

    Args:
        measurement: just come.
        unit: of a pool, where one measured; moments of one unit are no neighbours of another's.
    """
    if dict(measurement.environment).get("simulated"):
        return measurement  # the same at every time
    try:
        boot = _BOOT_ID.read_text(encoding="ascii").strip()[:8]
    except OSError:
        boot = "unknown"
    where = boot if unit is None else f"{boot}@{unit}"
    waited_s = float(dict(measurement.environment).get(AGE, 0.0))
    moment = ((BOOT, where), (TIME, f"{time.monotonic() - waited_s:.3f}"))
    return replace(measurement, environment=(*measurement.environment, *moment))
