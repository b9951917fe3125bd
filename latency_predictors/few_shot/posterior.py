"""An unseen device after a few measurements: hypotheses weighted by how likely they make what was measured.

A hypothesis fixes a transform, the sizes of deviations, and the noise. Under it the response is ``M a + X w + e``: a
mix of known devices with non-negative shares ``a``, Gaussian deviations ``w`` of known sizes, and noise. Few devices
take part in the mix; the share of one that does has an exponential prior. ``w`` is integrated exactly; ``a`` by
Laplace's method around its best value, shares at their bound by their slope there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from latency_predictors.few_shot.description import Floats, Ints
from latency_predictors.few_shot.prior import NOBODY, Deviations
from latency_predictors.few_shot.response import SHIFTS, log_slope, transform

NOISE = np.array([0.004, 0.01, 0.02, 0.035, 0.06, 0.1, 0.17, 0.28, 0.45]) ** 2
"""Variances of noise that are tried, relative to the typical latency."""

SHARE_RATE = 2.0
"""Of the exponential prior on the share of a device that takes part in the mix."""
OFFSET_VARIANCE = 0.25
"""Of the response of a typical network."""
_TAKES_PART = 0.2  # prior probability, for each of the mixed devices where known ones are among them
_NOISE_SPREAD = 1.5  # standard deviation of log noise around what a hypothesis saw
_MANY = 32
_SHORT_LIST = 40
_SWEEPS = 60
_LEAST_SHARE = 1e-6


@dataclass(frozen=True)
class Hypotheses:
    """The likely hypotheses of one transform, each with its solution.

    Attributes:
        shift: of the transform.
        weight: probability of each, shape ``(kept,)``; over all transforms they sum to 1.
        shares: of the mixed devices, shape ``(kept, devices)``.
        duals: what each measured network's features count, shape ``(kept, measured)``.
        variances: of the groups, shape ``(kept, groups + 1)``.
        noise: variance, shape ``(kept,)``.
        which: row of the deviations that each stems from, shape ``(kept,)``.
    """

    shift: float
    weight: Floats
    shares: Floats
    duals: Floats
    variances: Floats
    noise: Floats
    which: Ints


@dataclass(frozen=True)
class Measured:
    """Measured networks of the unseen device.

    Attributes:
        kernels: of every group, last of the devices' span, shape ``(groups + 1, measured, measured)``, by transform.
        mixed: centred responses of the mixed devices, shape ``(measured, devices)``, by transform.
        relative: latencies as shares of the typical one, shape ``(measured,)``.
    """

    kernels: tuple[Floats, ...]
    mixed: tuple[Floats, ...]
    relative: Floats

    def take(self, rows: Ints) -> Measured:
        """Some of the measured networks."""
        kernels = tuple(kernel[np.ix_(np.arange(len(kernel)), rows, rows)] for kernel in self.kernels)
        return Measured(kernels, tuple(mixed[rows] for mixed in self.mixed), self.relative[rows])


def measured_networks(
    features: Floats, group: Ints, mixed: Floats, relative: Floats, deviations: tuple[Deviations, ...]
) -> Measured:
    """What the posterior needs of the measured networks; arguments as in ``learn_deviations``."""
    linear = group_kernels(features, features, group)
    responses = tuple(transform(mixed, shift) - known.mean for shift, known in zip(SHIFTS, deviations, strict=True))
    kernels = tuple(
        np.concatenate([linear, (rows @ rows.T / known.span**2)[None]])
        for rows, known in zip(responses, deviations, strict=True)
    )
    return Measured(kernels, responses, relative)


def group_kernels(left: Floats, right: Floats, group: Ints) -> Floats:
    """Linear kernel of every group between two sets of networks, shape ``(groups, left, right)``."""
    count = int(group.max()) + 1
    return np.stack([left[:, group == index] @ right[:, group == index].T for index in range(count)])


def weigh(measured: Measured, deviations: tuple[Deviations, ...], *, keep: int) -> tuple[Hypotheses, ...]:
    """The most likely hypotheses, at most ``keep`` of them over all transforms.

    Solving all of them costs the cube of the measurements: with many, sizes that a part of them finds unlikely are left
    out.
    """
    if len(measured.relative) > _MANY:
        part = measured.take(np.linspace(0, len(measured.relative) - 1, _MANY).astype(np.intp))
        likely_sizes = weigh(part, deviations, keep=_SHORT_LIST)
        few = [np.unique(found.which) if len(found.which) else np.zeros(1, np.intp) for found in likely_sizes]
        deviations = tuple(known.take(rows) for known, rows in zip(deviations, few, strict=True))
    solved = [_solve(measured, index, known) for index, known in enumerate(deviations)]
    evidence = np.concatenate([entry[0] for entry in solved])
    likely = np.argsort(evidence)[::-1][:keep]
    weight = np.zeros(len(evidence))
    weight[likely] = np.exp(evidence[likely] - evidence[likely[0]])
    weight /= weight.sum()
    found = []
    start = 0
    for shift, known, (own, shares, duals, which, noise) in zip(SHIFTS, deviations, solved, strict=True):
        probability = weight[start : start + len(own)]
        start += len(own)
        kept = np.flatnonzero(probability > 0)
        found.append(
            Hypotheses(
                shift=shift,
                weight=probability[kept],
                # Sums depend on the order of an array in memory, and a predictor that was saved must give the same.
                shares=np.ascontiguousarray(shares[kept]),
                duals=np.ascontiguousarray(duals[kept]),
                variances=np.ascontiguousarray(known.variances[which[kept]]),
                noise=noise[kept],
                which=which[kept],
            )
        )
    return tuple(found)


def _solve(measured: Measured, index: int, known: Deviations) -> tuple[Floats, Floats, Floats, Ints, Floats]:
    """Log evidence, shares, duals, sizes of deviations (by row) and noise of every hypothesis of one transform."""
    shift = SHIFTS[index]
    response = transform(measured.relative, shift)
    kernels = np.einsum("hg,gij->hij", known.variances, measured.kernels[index], optimize=True) + OFFSET_VARIANCE
    values, vectors = np.linalg.eigh(kernels)
    columns = np.concatenate([measured.mixed[index], response[:, None]], axis=1)
    rotated = np.einsum("hij,ik->hjk", vectors, columns, optimize=True)
    inverse = 1 / (np.maximum(values, 0)[:, None, :] + NOISE[:, None])  # (sizes, noise, measured)
    scaled = inverse[..., None] * rotated[:, None]
    moments = np.einsum("hjk,hsjl->hskl", rotated, scaled, optimize=True)
    count = moments.shape[-1] - 1
    moments = moments.reshape(-1, count + 1, count + 1)
    gram, moment, total = moments[:, :-1, :-1], moments[:, :-1, -1], moments[:, -1, -1]
    shares = _non_negative(gram, moment - SHARE_RATE)
    fit = np.einsum("hkl,hl->hk", gram, shares)
    left = total - 2 * np.einsum("hk,hk->h", moment, shares) + np.einsum("hk,hk->h", fit, shares)
    evidence = 0.5 * (np.log(inverse).sum(axis=-1).reshape(-1) - left)
    takes_part = 1.0 if (known.player == NOBODY).all() else _TAKES_PART
    evidence += _shares_evidence(gram, shares, fit - moment + SHARE_RATE, takes_part)
    evidence -= SHARE_RATE * shares.sum(axis=1)
    evidence += log_slope(measured.relative, shift).sum()
    evidence += (-0.5 * (np.log(NOISE / known.noise[:, None]) / (2 * _NOISE_SPREAD)) ** 2).reshape(-1)
    both = scaled.reshape(len(shares), -1, count + 1)
    rest = both[:, :, -1] - np.einsum("hjk,hk->hj", both[:, :, :-1], shares)
    wide = np.repeat(vectors, len(NOISE), axis=0)
    duals = np.einsum("hij,hj->hi", wide, rest)
    which = np.repeat(np.arange(len(known.noise)), len(NOISE))
    return evidence, shares, duals, which, np.tile(NOISE, len(known.noise))


def _non_negative(gram: Floats, moment: Floats) -> Floats:
    """Minimisers of ``a G a / 2 - m a`` over ``a >= 0``, by coordinate descent on all problems at once."""
    shares = np.zeros_like(moment)
    diagonal = np.maximum(np.einsum("hkk->hk", gram), 1e-12)
    slope = -moment.copy()
    for _ in range(_SWEEPS):
        for index in range(moment.shape[1]):
            moved = np.maximum(shares[:, index] - slope[:, index] / diagonal[:, index], 0)
            slope += gram[:, :, index] * (moved - shares[:, index])[:, None]
            shares[:, index] = moved
    return shares


def _shares_evidence(gram: Floats, shares: Floats, slope: Floats, takes_part: float) -> Floats:
    """Log of the volume that the shares may move in: Gaussian inside, exponential at the bound; with their prior's.

    A share at the bound is that of a device that takes no part, or of one that does and has next to none.
    """
    inside = shares > _LEAST_SHARE
    eye = np.eye(gram.shape[1])
    curvature = np.where(inside[:, :, None] & inside[:, None, :], gram, 0) + eye * ~inside[:, :, None]
    logdet = np.linalg.slogdet(curvature + 1e-9 * eye)[1]
    none = 1 - takes_part + takes_part * SHARE_RATE / np.maximum(slope, SHARE_RATE * 0.1)
    at_bound = np.where(inside, 0.0, np.log(none))
    gaussian = inside.sum(axis=1) * (0.5 * np.log(2 * np.pi) + np.log(takes_part * SHARE_RATE))
    return np.asarray(gaussian - 0.5 * logdet + at_bound.sum(axis=1), np.float64)
