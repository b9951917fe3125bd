"""An unseen device after a few measurements: predictions, intervals, and whether it is like any device known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import ndtr, stdtrit

from latency_predictors.few_shot.description import Floats, Ints
from latency_predictors.few_shot.plain import PlainMix
from latency_predictors.few_shot.posterior import OFFSET_VARIANCE, Hypotheses, group_kernels
from latency_predictors.few_shot.prior import Deviations
from latency_predictors.few_shot.response import inverse, transform

if TYPE_CHECKING:
    from latency_predictors.few_shot.fleet import Fleet

_FOR_INTERVALS = 12  # hypotheses of a transform that tell an interval's width
_CHUNK = 4096
_BISECTIONS = 40
_LEAST_LOG_SPREAD = 0.6  # of devices whose speed nothing is known of
_PLAIN = 10.0  # measurements after which the posterior counts as much as the plain mix


@dataclass(frozen=True)
class Encoded:
    """Networks as a fleet sees them.

    Attributes:
        features: scaled, shape ``(networks, features)``.
        group: of every feature.
        mixed: relative latencies on known and then on virtual devices, shape ``(networks, devices)``.
    """

    features: Floats
    group: Ints
    mixed: Floats

    def __len__(self) -> int:
        return len(self.features)

    def take(self, rows: Ints | slice) -> Encoded:
        """Some of the networks."""
        return Encoded(self.features[rows], self.group, self.mixed[rows])

    def without(self, devices: Sequence[int]) -> Encoded:
        """As a fleet without some of its devices sees them."""
        return Encoded(self.features, self.group, np.delete(self.mixed, devices, axis=1))


@dataclass(frozen=True)
class Target:
    """An unseen device as the posterior has it.

    Attributes:
        fleet: what was known before.
        seen: measured networks.
        typical_s: scale of its latencies in seconds; 0 where none was measured.
        hypotheses: by transform; none where nothing was measured.
        plain: what the measurements say without a learnt prior; empty where nothing was measured.
    """

    fleet: Fleet
    seen: Encoded
    typical_s: float
    hypotheses: tuple[Hypotheses, ...]
    plain: PlainMix

    def predict(self, networks: Encoded) -> Floats:
        """Latencies in seconds, shape ``(networks,)``."""
        if not self.hypotheses:
            return np.asarray(np.exp(self._unmeasured(networks)[0]), np.float64)
        total, plain = np.zeros(len(networks)), self.plain.relative(networks.features, networks.mixed)
        for found, known in self._likely():
            mean = _mean(found, known, self.seen, networks)
            mean += self._plain_weight * (transform(plain, found.shift) - mean)
            total += found.weight.sum() * inverse(mean, found.shift)
        return self.typical_s * total

    def interval(self, networks: Encoded, coverage: float = 0.9) -> tuple[Floats, Floats]:
        """Bounds in seconds that hold a measured latency with probability ``coverage``, each of shape ``(networks,)``.

        Quantiles of the posterior, a mixture over transforms, widened by what known devices asked for. Where it and the
        plain mix disagree, that is uncertainty too.
        """
        tail = (1 - coverage) / 2
        if not self.hypotheses:
            middle, spread = self._unmeasured(networks)
            reach = spread * float(stdtrit(max(len(self.fleet.sources.typical_s) - 1, 1), 1 - tail))
            return np.exp(middle - reach), np.exp(middle + reach)
        parts = self._parts(networks)
        bounds = (self.typical_s * _quantile(parts, probability) for probability in (tail, 1 - tail))
        lower, upper = bounds
        return lower, upper

    def standard_errors(self, networks: Encoded, latencies_s: Floats) -> Floats:
        """Errors in standard deviations of the likeliest transform's posterior, before any widening."""
        parts = self._parts(networks, widening=1.0)
        _, shift, mean, deviation = max(parts, key=lambda part: part[0])
        return np.asarray((transform(latencies_s / self.typical_s, shift) - mean) / deviation, np.float64)

    @property
    def strangeness(self) -> float:
        """Prior deviation from the mix of known devices, as the likely hypotheses have it, on measured networks."""
        total = 0.0
        for found, known in self._likely():
            mixed = transform(self.seen.mixed, found.shift) - known.mean
            linear = group_kernels(self.seen.features, self.seen.features, self.seen.group)
            kernels = np.concatenate([linear, (mixed @ mixed.T / known.span**2)[None]])
            deviation = np.einsum("hg,gij,hj->hi", found.variances, kernels, found.duals)
            total += float(found.weight @ deviation.std(axis=1))
        return total

    @property
    def is_unlike_any(self) -> bool:
        """Whether it is much further from a mix of known devices than any of them is from a mix of the others."""
        return bool(self.hypotheses) and self.strangeness > self.fleet.strangest

    def _likely(self) -> Iterator[tuple[Hypotheses, Deviations]]:
        for found, known in zip(self.hypotheses, self.fleet.deviations, strict=True):
            if len(found.weight):
                yield found, known

    @property
    def _plain_weight(self) -> float:
        """What the plain mix counts: the fewer measurements, the less is a learnt prior's word to be taken for them.

        Where no device is known no prior was learnt, and the posterior stands alone.
        """
        return _PLAIN / (_PLAIN + len(self.seen)) if len(self.fleet.sources.typical_s) else 0.0

    def _unmeasured(self, networks: Encoded) -> tuple[Floats, Floats]:
        """Mean and deviation of log latency over known devices.

        Networks are ordered by known devices, by all work and by arithmetic in equal parts, each by its own spread:
        known devices can all be of one kind, which the unseen one is not.
        """
        typical = self.fleet.sources.typical_s
        count, (centre, size) = len(typical), self.fleet.log_moments
        logs = np.log(networks.mixed)
        order = (logs - centre) / size
        parts = [order[:, :count].mean(axis=1), order[:, count:].mean(axis=1), order[:, count]]
        level = float((np.log(typical) + centre[:count]).mean())
        middle = level + float(size[:count].mean()) * np.mean(parts, axis=0)
        between = (logs[:, :count] + np.log(typical)).var(axis=1, ddof=min(1, count - 1))
        return middle, np.sqrt((between + _LEAST_LOG_SPREAD**2) * (1 + 1 / count))

    def _parts(self, networks: Encoded, widening: float | None = None) -> list[tuple[float, float, Floats, Floats]]:
        """Weight, shift, mean and deviation of the response, by transform."""
        factor = self.fleet.widening_after(len(self.seen)) if widening is None else widening
        parts, share, plain = [], self._plain_weight, self.plain.relative(networks.features, networks.mixed)
        for found, known in self._likely():
            chunks = [networks.take(slice(start, start + _CHUNK)) for start in range(0, len(networks), _CHUNK)]
            moments = [_moments(found, known, self.seen, chunk) for chunk in chunks]
            mean = np.concatenate([entry[0] for entry in moments])
            gap = transform(plain, found.shift) - mean
            variance = np.concatenate([entry[1] for entry in moments]) + share * (1 - share) * gap**2
            parts.append((float(found.weight.sum()), found.shift, mean + share * gap, factor * np.sqrt(variance)))
        return parts


def _mean(found: Hypotheses, known: Deviations, seen: Encoded, networks: Encoded) -> Floats:
    """Posterior mean of the response over the hypotheses of a transform: linear in features and mixed devices."""
    weight = found.weight / found.weight.sum()
    measured = transform(seen.mixed, found.shift) - known.mean
    spanned = found.variances[:, -1] / known.span**2
    features = weight @ (found.variances[:, seen.group] * (found.duals @ seen.features))
    shares = weight @ (found.shares + spanned[:, None] * (found.duals @ measured))
    offset = OFFSET_VARIANCE * float(weight @ found.duals.sum(axis=1))
    mixed = transform(networks.mixed, found.shift) - known.mean
    return np.asarray(networks.features @ features + mixed @ shares + offset, np.float64)


def _moments(found: Hypotheses, known: Deviations, seen: Encoded, networks: Encoded) -> tuple[Floats, Floats]:
    """Mean and variance of a measured response over the likeliest hypotheses of a transform."""
    kept = np.argsort(found.weight)[::-1][:_FOR_INTERVALS]
    weight = found.weight[kept] / found.weight[kept].sum()
    measured = transform(seen.mixed, found.shift) - known.mean
    mixed = transform(networks.mixed, found.shift) - known.mean
    within = group_kernels(seen.features, seen.features, seen.group)
    across = group_kernels(seen.features, networks.features, seen.group)
    own = np.stack([(networks.features[:, seen.group == g] ** 2).sum(axis=1) for g in range(len(within))])
    mean, second = np.zeros(len(networks)), np.zeros(len(networks))
    for index, probability in zip(kept.tolist(), weight.tolist(), strict=True):
        sizes, noise, shares = found.variances[index], found.noise[index], found.shares[index]
        span = sizes[-1] / known.span**2
        inner = np.tensordot(sizes[:-1], within, 1) + span * measured @ measured.T + OFFSET_VARIANCE
        root = np.linalg.cholesky(inner + noise * np.eye(len(seen)))
        outer = np.tensordot(sizes[:-1], across, 1) + span * measured @ mixed.T + OFFSET_VARIANCE
        solved = solve_triangular(root, np.concatenate([outer, measured], axis=1), lower=True)
        left, devices = solved[:, : len(networks)], solved[:, len(networks) :]
        variance = sizes[:-1] @ own + span * (mixed**2).sum(axis=1) + OFFSET_VARIANCE - (left**2).sum(axis=0)
        used = shares > 0
        if used.any():
            slope = mixed[:, used] - left.T @ devices[:, used]
            certain = np.linalg.pinv(devices[:, used].T @ devices[:, used], hermitian=True)
            variance = variance + np.einsum("na,ab,nb->n", slope, certain, slope, optimize=True)
        centre = mixed @ shares + outer.T @ found.duals[index]
        mean += probability * centre
        second += probability * (np.maximum(variance, 0) + noise + centre**2)
    return mean, np.maximum(second - mean**2, 1e-12)


def _quantile(parts: list[tuple[float, float, Floats, Floats]], probability: float) -> Floats:
    """Quantile of a mixture of transformed normal distributions, relative to the typical latency; by bisection."""
    reach = 12.0
    edges = [(mean - reach * deviation, mean + reach * deviation, shift) for _, shift, mean, deviation in parts]
    lower = np.min([inverse(low, shift) for low, _, shift in edges], axis=0)
    upper = np.max([inverse(high, shift) for _, high, shift in edges], axis=0)
    for _ in range(_BISECTIONS):
        middle = np.sqrt(lower * upper)
        below = sum(w * ndtr((transform(middle, shift) - mean) / deviation) for w, shift, mean, deviation in parts)
        lower, upper = np.where(below < probability, middle, lower), np.where(below < probability, upper, middle)
    return np.asarray(np.sqrt(lower * upper), np.float64)
