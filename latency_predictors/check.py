"""How good a predictor is on networks that it has not seen, and which of several is best."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from latency_predictors.errors import PredictorError
from latency_predictors.predictor import MINIMUM_NETWORKS, HeldOut, LatencyPredictor, checked_measurements
from latency_predictors.registry import get_predictor
from latency_predictors.scores import PredictorScores
from search_spaces.network import Network

MINIMUM_CHECKED = MINIMUM_NETWORKS + 2
"""Fewest measured networks that a predictor can be checked on."""

_TIE = 0.005  # rank correlations closer than this are equal for so few networks


def cross_validate(
    make: Callable[[], LatencyPredictor],
    networks: Sequence[Network],
    latencies_s: ArrayLike,
    rng: np.random.Generator,
    *,
    folds: int = 5,
) -> HeldOut:
    """Predict every network by a predictor that was fitted on the others.

    Args:
        make: makes a predictor that has learnt nothing.
        networks: at least ``MINIMUM_CHECKED`` networks.
        latencies_s: the measured latency of each in seconds, shape ``(networks,)``.
        rng: draws the folds.
        folds: parts that the networks are split in; each is held out once. More where the rest would be too few.

    Raises:
        PredictorError: too few networks, a number of folds that cannot be, or latencies nothing can be learnt from.
    """
    latencies = checked_measurements(networks, latencies_s, minimum=MINIMUM_CHECKED)
    count = len(latencies)
    if folds < 2:
        raise PredictorError(f"folds is {folds}; give at least 2")
    folds = min(count, max(folds, -(-count // (count - MINIMUM_NETWORKS))))
    fold_of = rng.permutation(np.arange(count) % folds)
    predicted = np.empty(count)
    for fold in range(folds):
        held_out = np.flatnonzero(fold_of == fold).tolist()
        seen = np.flatnonzero(fold_of != fold).tolist()
        predictor = make().fit([networks[index] for index in seen], latencies[seen])
        predicted[held_out] = predictor.predict([networks[index] for index in held_out])
    return HeldOut(predicted, latencies)


def fit_checked(
    make: Callable[[], LatencyPredictor],
    networks: Sequence[Network],
    latencies_s: ArrayLike,
    rng: np.random.Generator,
    *,
    folds: int = 5,
) -> tuple[LatencyPredictor, PredictorScores]:
    """A predictor fitted on all networks and calibrated on held-out ones, with its held-out scores.

    Arguments and errors are those of ``cross_validate``.
    """
    held_out = cross_validate(make, networks, latencies_s, rng, folds=folds)
    return make().fit(networks, latencies_s).calibrate(held_out), held_out.scores


def check_predictor(
    make: Callable[[], LatencyPredictor],
    networks: Sequence[Network],
    latencies_s: ArrayLike,
    rng: np.random.Generator,
    *,
    folds: int = 5,
) -> PredictorScores:
    """Held-out scores alone; arguments and errors are those of ``cross_validate``."""
    return cross_validate(make, networks, latencies_s, rng, folds=folds).scores


def select_predictor(
    names: Sequence[str],
    networks: Sequence[Network],
    latencies_s: ArrayLike,
    rng: np.random.Generator,
    *,
    folds: int = 5,
    options: Mapping[str, Mapping[str, Any]] | None = None,
) -> tuple[LatencyPredictor, dict[str, PredictorScores]]:
    """The best of several predictors, fitted and calibrated, and the held-out scores of each.

    The best has the highest rank correlation; among those within 0.005 of it, the least mean absolute relative error.
    All are judged on the same folds. Whether the best is good enough is for the caller to ask (``scores.passes``).

    Args:
        names: registered names of the predictors to compare.
        networks: at least ``MINIMUM_CHECKED`` networks.
        latencies_s: the measured latency of each in seconds, shape ``(networks,)``.
        rng: draws the folds.
        folds: as in ``cross_validate``.
        options: arguments of predictors, by name.

    Raises:
        PredictorError: no names, an unknown one, or what ``cross_validate`` raises.
    """
    if not names:
        raise PredictorError("no predictors were named; name at least one")
    seed = int(rng.integers(2**32))
    fitted: dict[str, LatencyPredictor] = {}
    scores: dict[str, PredictorScores] = {}
    for name in names:

        def make(name: str = name) -> LatencyPredictor:
            return get_predictor(name, (options or {}).get(name))

        fitted[name], scores[name] = fit_checked(make, networks, latencies_s, np.random.default_rng(seed), folds=folds)
    highest = max(entry.spearman for entry in scores.values())
    close = [name for name, entry in scores.items() if entry.spearman >= highest - _TIE]
    return fitted[min(close, key=lambda name: scores[name].mape)], scores
