"""What an unseen device may be: a non-negative mix of known devices, and deviations of learnt sizes from it.

Every known device plays the unseen one, with all others known, with its nearest ones left out, with only the most
dissimilar left, and with none. What the best mix then leaves over tells how much each group of features deviates. Each
of these games is one hypothesis on the sizes of deviations: empirical Bayes (Robbins 1956), kept as a mixture.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from latency_predictors.few_shot.description import Floats, Ints
from latency_predictors.few_shot.response import SHIFTS, transform
from latency_predictors.few_shot.ridge import fit_ridge

_ROUNDS = 12
_SHARES_KEPT = (1.0, 0.75, 0.4, 0.0)
"""Shares of the other known devices that stay known in a game, the most similar left out first."""
_UNTAUGHT = np.geomspace(0.001, 0.3, 6)
_UNTAUGHT_NOISE = 0.02**2
NOBODY = -1


@dataclass(frozen=True)
class Deviations:
    """Sizes of deviations by hypothesis, for one transform.

    Attributes:
        mean: of the mixed devices' responses over the known networks, shape ``(devices,)``.
        span: what the devices' centred responses are divided by to be a group of features, a number.
        variances: of every group of features, last of the devices' own span, shape ``(hypotheses, groups + 1)``.
        noise: variance that each hypothesis saw, shape ``(hypotheses,)``.
        player: known device that taught each hypothesis, ``NOBODY`` where none did, shape ``(hypotheses,)``.
    """

    mean: Floats
    span: float
    variances: Floats
    noise: Floats
    player: Ints

    def take(self, rows: Ints) -> Deviations:
        """Some of the hypotheses."""
        return Deviations(self.mean, self.span, self.variances[rows], self.noise[rows], self.player[rows])

    def without(self, device: int) -> Deviations:
        """What is known where one of the known devices is not."""
        others = self.take(np.flatnonzero(self.player != device))
        player = np.where(others.player > device, others.player - 1, others.player)
        return Deviations(np.delete(self.mean, device), self.span, others.variances, others.noise, player)


def learn_deviations(
    features: Floats, group: Ints, mixed: Floats, latencies_s: Floats, typical_s: Floats, *, shift: float
) -> Deviations:
    """Play every game for one transform.

    Args:
        features: centred, shape ``(networks, features)``.
        group: group of every feature.
        mixed: relative latencies of known devices and then of virtual ones, shape ``(networks, devices)``.
        latencies_s: measured on the known devices, shape ``(networks, known)``; NaN where not measured.
        typical_s: median latency of each, shape ``(known,)``.
        shift: of the transform.
    """
    responses = transform(mixed, shift)
    mean = responses.mean(axis=0)
    centred = responses - mean
    span = float(np.sqrt((centred**2).mean(axis=0).sum()))
    joined = np.concatenate([features, centred / span], axis=1)
    groups = np.append(group, np.full(mixed.shape[1], group.max() + 1))
    gram = joined.T @ joined
    if not latencies_s.shape[1]:
        return _untaught(mean, span, int(group.max()) + 1)
    variances, noises, players = [], [], []
    for target, kept in _games(centred[:, : latencies_s.shape[1]], mixed.shape[1]):
        measured = np.isfinite(latencies_s[:, target])
        response = transform(latencies_s[measured, target] / typical_s[target], shift)
        response = response - response.mean()
        part = centred[np.ix_(measured, kept)]
        rest = response - part @ nnls(part, response)[0]
        columns = np.concatenate([np.arange(features.shape[1]), features.shape[1] + kept])
        fit = fit_ridge(
            joined[np.ix_(measured, columns)],
            groups[columns],
            rest,
            rounds=_ROUNDS,
            gram=gram[np.ix_(columns, columns)] if measured.all() else None,
        )
        variances.append(fit.variances)
        noises.append(fit.noise)
        players.append(target)
    return Deviations(mean, span, np.array(variances), np.array(noises), np.array(players, np.intp))


def _untaught(mean: Floats, span: float, groups: int) -> Deviations:
    """Where no device is known: all groups alike, from hardly any deviation to as much as the response itself."""
    sizes = _UNTAUGHT[:, None] * np.full(groups + 1, 1 / (groups + 1))
    count = len(sizes)
    return Deviations(mean, span, sizes, np.full(count, _UNTAUGHT_NOISE), np.full(count, NOBODY))


def _games(known: Floats, devices: int) -> Iterator[tuple[int, Ints]]:
    """The device that plays the unseen one, and the devices, virtual ones among them, that stay known."""
    count = known.shape[1]
    similar = np.atleast_2d(np.corrcoef(known.T)) if count else np.zeros((0, 0))
    virtual = np.arange(count, devices)
    for target in range(count):
        others = np.array([index for index in np.argsort(similar[target]) if index != target], np.intp)
        for share in dict.fromkeys(int(np.ceil(share * len(others))) for share in _SHARES_KEPT):
            yield target, np.concatenate([others[:share], virtual])


def all_deviations(
    features: Floats, group: Ints, mixed: Floats, latencies_s: Floats, typical_s: Floats
) -> tuple[Deviations, ...]:
    """``learn_deviations`` for every transform."""
    return tuple(learn_deviations(features, group, mixed, latencies_s, typical_s, shift=shift) for shift in SHIFTS)
