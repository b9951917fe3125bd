"""A fleet: devices known beforehand, what they teach of devices to come, and which networks to measure on these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from latency_predictors.errors import PredictorError
from latency_predictors.few_shot.choice import choose_networks
from latency_predictors.few_shot.description import Description, Floats, Ints, Quantities, Scaling
from latency_predictors.few_shot.plain import PlainMix
from latency_predictors.few_shot.posterior import measured_networks, weigh
from latency_predictors.few_shot.prior import Deviations, all_deviations
from latency_predictors.few_shot.sources import Sources, fit_sources
from latency_predictors.few_shot.target import Encoded, Target
from latency_predictors.scores import checked_latencies

_KEPT = 300  # hypotheses of a target
_PROBES = (5, 10, 20, 50)  # networks that a known device is adapted with, when it plays the unseen one
_FEWEST = 10  # measured networks of a known device
_CHECKED = 200  # networks that it is then checked on
_FEWEST_PLAYERS = 3
_COVERAGE, _NORMAL_QUANTILE = 0.9, 1.6449
_UNCALIBRATED = 1.3
_LEAST_SPREAD = 1e-3  # of log latency
_STRANGENESS_AT = 10
_STRANGER = 1.5  # times as far from every mix as the strangest known device


@dataclass(frozen=True)
class Fleet:
    """Known devices and what they teach.

    Attributes:
        scaling: of features.
        fine: groups of features that only devices with many measurements use.
        quantities: names of the virtual devices.
        quantity_typical: median of each over the known networks, shape ``(quantities,)``.
        sources: fits of the known devices.
        log_moments: mean and deviation of the log relative latency of known devices, then of quantities, over the known
            networks, shape ``(2, devices + quantities)``.
        deviations: by transform.
        widening: factors on the posterior's standard deviations with which intervals hold what they promise, after 5,
            10, 20 and 50 measurements.
        strangest: largest distance of a known device from the mix of the others; infinite where few are known.
    """

    scaling: Scaling
    fine: tuple[str, ...]
    quantities: tuple[str, ...]
    quantity_typical: Floats
    sources: Sources
    log_moments: Floats
    deviations: tuple[Deviations, ...] = ()
    widening: tuple[float, ...] = (_UNCALIBRATED,) * len(_PROBES)
    strangest: float = np.inf

    @classmethod
    def fit(cls, known: Description, quantities: Quantities, latencies_s: Floats, *, fine: Sequence[str] = ()) -> Fleet:
        """Learn from devices on which many networks were measured.

        Args:
            known: networks, a few hundred at best.
            quantities: work of each network, arithmetic first; every quantity is a virtual device.
            latencies_s: shape ``(networks, devices)``; NaN where a network was not measured. There may be no device.
            fine: groups of features that few measurements cannot say anything of.

        Raises:
            PredictorError: latencies of another shape, or a device whose latencies teach nothing.
        """
        if latencies_s.shape[:1] != (len(known),):
            raise PredictorError(f"{len(known)} networks and latencies of shape {latencies_s.shape} were given")
        for device in latencies_s.T:
            checked_latencies(device[~np.isnan(device)], minimum=_FEWEST)
        scaling = Scaling.learnt(known)
        sources = fit_sources(scaling.apply(known), scaling.group, latencies_s)
        typical = np.array([np.median(values) for values in quantities.values()])
        fleet = cls(scaling, tuple(fine), tuple(quantities), typical, sources, np.zeros((2, 0)))
        encoded = fleet.encode(known, quantities)
        taught = all_deviations(encoded.features, encoded.group, encoded.mixed, latencies_s, sources.typical_s)
        logs = np.log(encoded.mixed)
        moments = np.stack([logs.mean(axis=0), np.maximum(logs.std(axis=0), _LEAST_SPREAD)])
        return replace(fleet, deviations=taught, log_moments=moments)._calibrated(encoded, latencies_s)

    def encode(self, networks: Description, quantities: Quantities) -> Encoded:
        """Networks as this fleet sees them.

        Raises:
            PredictorError: features or quantities of another kind than the known networks'.
        """
        if tuple(quantities) != self.quantities:
            raise PredictorError(f"quantities {list(quantities)} were given; this fleet knows {list(self.quantities)}")
        features = self.scaling.apply(networks)
        virtual = np.stack(list(quantities.values()), axis=1) / self.quantity_typical
        mixed = np.concatenate([self.sources.relative(features), virtual], axis=1)
        names = np.array([name for name, _ in self.scaling.groups])
        coarse = ~np.isin(names[self.scaling.group], self.fine)
        _, group = np.unique(self.scaling.group[coarse], return_inverse=True)
        # Sums depend on the order of an array in memory, and a predictor that was saved must give the same.
        return Encoded(np.ascontiguousarray(features[:, coarse]), group, np.ascontiguousarray(mixed))

    def adapt(self, seen: Encoded, latencies_s: Floats) -> Target:
        """An unseen device after some of its networks were measured, or none.

        Args:
            seen: measured networks.
            latencies_s: of each, shape ``(networks,)``.

        Raises:
            PredictorError: latencies nothing can be learnt from, or no measurement and no known device.
        """
        if not len(seen):
            if not len(self.sources.typical_s):
                raise PredictorError("no measurement and no known device were given; measure at least one network")
            return Target(self, seen, 0.0, (), PlainMix(np.zeros(0), np.zeros(0)))
        latencies = checked_latencies(latencies_s, minimum=1) if len(seen) > 1 else _single(latencies_s)
        if latencies.shape != (len(seen),):
            raise PredictorError(f"{len(seen)} networks and {len(latencies)} latencies were given; give one for each")
        typical = float(np.median(latencies / np.exp(np.log(seen.mixed).mean(axis=1))))
        measured = measured_networks(seen.features, seen.group, seen.mixed, latencies / typical, self.deviations)
        plain = PlainMix.fit(seen.features, seen.mixed, latencies / typical)
        return Target(self, seen, typical, weigh(measured, self.deviations, keep=_KEPT), plain)

    def choose(self, pool: Encoded, count: int, *, seen: Encoded | None = None) -> Ints:
        """Networks of a pool to measure on an unseen device, the most telling first; as ``choice.choose_networks``."""
        return choose_networks(self.deviations, pool, count, seen=seen)

    def widening_after(self, count: int) -> float:
        """Factor on standard deviations after a number of measurements."""
        return float(np.interp(np.log(count), np.log(_PROBES), self.widening))

    def without(self, devices: Sequence[int]) -> Fleet:
        """This fleet as if it had never met some of its devices."""
        others = Sources(
            np.delete(self.sources.weights, devices, axis=1),
            *(np.delete(values, devices) for values in (self.sources.offsets, self.sources.shifts)),
            *(np.delete(values, devices) for values in (self.sources.typical_s, self.sources.noise)),
        )
        taught = self.deviations
        for device in sorted(devices, reverse=True):
            taught = tuple(known.without(device) for known in taught)
        moments = np.delete(self.log_moments, devices, axis=1)
        return replace(self, sources=others, log_moments=moments, deviations=taught)

    def _calibrated(self, known: Encoded, latencies_s: Floats) -> Fleet:
        """Widen intervals until they hold on known devices that play the unseen one, and see how strange these are.

        Intervals are tried where only the least similar half of the other devices is known: an unseen device seldom has
        such near relatives among the known ones as these have.
        """
        count = latencies_s.shape[1]
        if count < _FEWEST_PLAYERS:
            return self
        similar = np.corrcoef(np.log(known.mixed[:, :count]).T)
        errors: dict[int, list[Floats]] = {probes: [] for probes in _PROBES}
        strange = []
        for device in range(count):
            others = [index for index in np.argsort(similar[device]).tolist() if index != device]
            seen, latencies, order, fleet = self._played(known, latencies_s, [device])
            few = order[:_STRANGENESS_AT]
            strange.append(fleet.adapt(seen.take(few), latencies[few]).strangeness)
            relatives = others[(len(others) + 1) // 2 :]
            seen, latencies, order, fleet = self._played(known, latencies_s, [device, *relatives])
            rest = np.setdiff1d(np.arange(len(seen)), order)[:: max(1, len(seen) // _CHECKED)]
            for probes in _PROBES:
                target = fleet.adapt(seen.take(order[:probes]), latencies[order[:probes]])
                errors[probes].append(target.standard_errors(seen.take(rest), latencies[rest]))
        reached = [np.quantile(np.abs(np.concatenate(errors[probes])), _COVERAGE) for probes in _PROBES]
        widening = tuple(float(reach) / _NORMAL_QUANTILE for reach in reached)
        return replace(self, widening=widening, strangest=_STRANGER * max(strange))

    def _played(
        self, known: Encoded, latencies_s: Floats, absent: Sequence[int]
    ) -> tuple[Encoded, Floats, Ints, Fleet]:
        """Networks measured on the first of the absent devices, their latencies, which to measure, and who is left."""
        measured = np.flatnonzero(np.isfinite(latencies_s[:, absent[0]]))
        seen, fleet = known.take(measured).without(absent), self.without(absent)
        order = fleet.choose(seen, min(_PROBES[-1], len(seen) // 2))
        return seen, latencies_s[measured, absent[0]], order, fleet


def _single(latencies_s: Floats) -> Floats:
    """One latency, which need not differ from others."""
    given = np.asarray(latencies_s, np.float64)
    if given.shape != (1,) or not np.isfinite(given).all() or (given <= 0).any():
        raise PredictorError(
            f"latencies {given.tolist()} were given for one network; give one positive number of seconds"
        )
    return given
