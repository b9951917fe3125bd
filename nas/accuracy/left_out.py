"""Predictions for training networks by models that had not learnt from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from nas.accuracy.encoding import Encoded
from nas.accuracy.scores import HeldOut

Vector = NDArray[np.float64]
Model: TypeAlias = Callable[[Encoded], tuple[Vector, Vector]]
"""Predictions and their spread for encoded networks."""

MOST = 300
"""Networks that settings are chosen on, at most; whatever is chosen learns from all networks."""

FOLDS = 8


def spaced(count: int, most: int = MOST) -> NDArray[np.int64]:
    """Positions of up to ``most`` of ``count`` networks, evenly spread: a search's last are unlike its first.

    Returns:
        Ascending, shape ``(min(count, most),)``.
    """
    return np.linspace(0, count - 1, min(count, most)).round().astype(np.int64)


def cross_predicted(
    fit: Callable[[Encoded, Vector], Model], networks: Encoded, accuracies: Vector, folds: int = FOLDS
) -> HeldOut:
    """Every network predicted by a model fitted on the others; folds are taken in turns.

    Args:
        fit: makes a model.
        networks: training networks.
        accuracies: their accuracies, shape ``(networks,)``.
        folds: parts that the networks are split in.
    """
    fold_of = np.arange(len(accuracies)) % folds
    predicted, spread = np.empty(len(accuracies)), np.empty(len(accuracies))
    for fold in range(folds):
        seen, unseen = np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold)
        model = fit(networks.take(seen), accuracies[seen])
        predicted[unseen], spread[unseen] = model(networks.take(unseen))
    return HeldOut(predicted, spread, accuracies)
