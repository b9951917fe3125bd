"""What decides the weights that a training leads to, as plain values, so that a change can be told by its name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search_spaces import SearchSpace
from supernet.data import ImageData, Preprocessing, Split
from supernet.settings import TrainSettings

# How often to save and to look decides nothing; threads do by rounding only.
_WITHOUT_EFFECT = ("checkpoint_every_s", "evaluate_every", "threads", "watch", "precision")


def training_identity(
    space: SearchSpace, images: ImageData, split: Split, preprocessing: Preprocessing, settings: TrainSettings
) -> dict[str, Any]:
    """Everything that decides the weights, by its name in a config; JSON values."""
    identity: dict[str, Any] = {"space": space.name}
    for field in fields(settings):
        if field.name not in _WITHOUT_EFFECT:
            identity[f"train.{field.name}"] = getattr(settings, field.name)
    identity["train.precision"] = str(settings.resolve_dtype()).removeprefix("torch.")
    identity["the training images' labels"] = _digest(images.labels)
    identity["the division of the images"] = _digest(split.train)
    identity |= {f"preprocessing.{name}": value for name, value in preprocessing.to_json().items()}
    values: dict[str, Any] = json.loads(json.dumps(identity))
    return values


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """A phrase for every value that differs."""
    missing = "not there"
    return [
        f"{name} is {now.get(name, missing)!r} and was {before.get(name, missing)!r}"
        for name in {**before, **now}
        if now.get(name, missing) != before.get(name, missing)
    ]


def _digest(values: NDArray[np.int64]) -> str:
    return hashlib.sha256(np.ascontiguousarray(values, "<i8").tobytes()).hexdigest()[:20]
