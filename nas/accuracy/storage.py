"""A predictor as two files: ``accuracy.json`` tells what it is, ``accuracy.safetensors`` holds its arrays.

Nothing is unpickled. The JSON file is written last and holds the digest of the other, so files that do not belong
together are found out.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load, save

from latency_predictors.features import features_digest
from nas.accuracy.errors import AccuracyError
from nas.accuracy.predictor import AccuracyPredictor
from nas.accuracy.registry import get_accuracy_predictor
from nas.accuracy.scores import HeldOut
from nas.files import write_bytes, write_json
from search_spaces import SearchSpace, SpaceError

_VERSION = 1
_JSON, _ARRAYS = "accuracy.json", "accuracy.safetensors"
_HELD_OUT = ("predicted", "spread", "found")


def save_accuracy_predictor(predictor: AccuracyPredictor, directory: Path) -> None:
    """Write a fitted predictor; each file is replaced as a whole.

    Raises:
        AccuracyError: the predictor is not fitted.
    """
    if predictor.held_out_ is None:
        raise AccuracyError(f"predictor {predictor.name!r} has learnt nothing that could be saved; call fit first")
    arrays = {f"learnt.{name}": array for name, array in predictor.state().items()}
    arrays |= {f"held_out.{name}": getattr(predictor.held_out_, name) for name in _HELD_OUT}
    arrays |= {"rows": predictor.space.indices(predictor.archs_), "accuracies": predictor.accuracies_}
    content = save({name: np.ascontiguousarray(array) for name, array in arrays.items()})
    write_bytes(directory / _ARRAYS, content)
    card = {
        "version": _VERSION,
        "predictor": predictor.name,
        "options": predictor.options(),
        "space": predictor.space.name,
        "features": features_digest(),
        "arrays_sha256": hashlib.sha256(content).hexdigest(),
    }
    write_json(directory / _JSON, card)


def load_accuracy_predictor(directory: Path, space: SearchSpace) -> AccuracyPredictor:
    """Read what ``save_accuracy_predictor`` wrote; the result predicts what the saved one did.

    Args:
        directory: of the two files.
        space: whose networks it predicts.

    Raises:
        AccuracyError: files that are missing, damaged, or of another space or other features.
    """
    try:
        card = json.loads((directory / _JSON).read_text(encoding="utf-8"))
        content = (directory / _ARRAYS).read_bytes()
    except (OSError, ValueError, RecursionError) as error:
        raise AccuracyError(f"no accuracy predictor can be read from {directory}: {error}; fit it again") from error
    try:
        if hashlib.sha256(content).hexdigest() != card["arrays_sha256"]:
            raise AccuracyError(f"{_ARRAYS} in {directory} does not belong to its {_JSON}; fit the predictor again")
        if (card["version"], card["features"]) != (_VERSION, features_digest()):
            raise AccuracyError(f"the predictor in {directory} was saved by another version; fit it again")
        if card["space"] != space.name:
            raise AccuracyError(f"the predictor in {directory} is of space {card['space']!r}, not of {space.name!r}")
        return _restored(card, load(content), space)
    except (AttributeError, LookupError, OverflowError, TypeError, ValueError, SpaceError) as error:
        raise AccuracyError(f"{_JSON} in {directory} lacks or mistakes {error!r}; fit the predictor again") from error


def _restored(card: dict[str, Any], arrays: dict[str, Any], space: SearchSpace) -> AccuracyPredictor:
    predictor = get_accuracy_predictor(card["predictor"], space, dict(card["options"]))
    state = {name.removeprefix("learnt."): array for name, array in arrays.items() if name.startswith("learnt.")}
    held_out = HeldOut(*(arrays[f"held_out.{name}"] for name in _HELD_OUT))
    return predictor.restore(space.architectures(arrays["rows"]), arrays["accuracies"], held_out, state)
