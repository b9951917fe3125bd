"""A predictor as two files: ``predictor.json`` tells what it is, ``predictor.safetensors`` holds its arrays.

Nothing is unpickled. The JSON file is written last and holds the digest of the other, so files that do not belong
together are found out.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load, save

from latency_predictors.errors import PredictorError
from latency_predictors.features import features_digest
from latency_predictors.files import write_whole
from latency_predictors.predictor import HeldOut, LatencyPredictor
from latency_predictors.registry import get_predictor

_VERSION = 1
_JSON, _ARRAYS = "predictor.json", "predictor.safetensors"
_HELD_OUT = ("held_out.predicted_s", "held_out.measured_s")


def save_predictor(predictor: LatencyPredictor, directory: Path) -> None:
    """Write a fitted predictor; each file is replaced as a whole.

    Raises:
        PredictorError: the predictor is not fitted.
    """
    if not predictor.is_fitted:
        raise PredictorError(f"predictor {predictor.name!r} has learnt nothing that could be saved; call fit first")
    arrays, values = predictor.state()
    if predictor.held_out_ is not None:
        pair = (predictor.held_out_.predicted_s, predictor.held_out_.measured_s)
        arrays |= dict(zip(_HELD_OUT, pair, strict=True))
    content = save({name: np.ascontiguousarray(array) for name, array in arrays.items()})
    card = {
        "version": _VERSION,
        "predictor": predictor.name,
        "options": predictor.options(),
        "features": features_digest(),
        "arrays_sha256": hashlib.sha256(content).hexdigest(),
        "values": values,
    }
    write_whole(directory / _ARRAYS, content)
    write_whole(directory / _JSON, (json.dumps(card, indent=1) + "\n").encode())


def load_predictor(directory: Path) -> LatencyPredictor:
    """Read what ``save_predictor`` wrote; the result predicts bit for bit what the saved one did.

    Raises:
        PredictorError: files that are missing, damaged, or written for other features.
    """
    try:
        card = json.loads((directory / _JSON).read_text(encoding="utf-8"))
        content = (directory / _ARRAYS).read_bytes()
    except (OSError, ValueError, RecursionError) as error:
        raise PredictorError(f"no predictor can be read from {directory}: {error}; fit it again") from error
    try:
        if hashlib.sha256(content).hexdigest() != card["arrays_sha256"]:
            raise PredictorError(f"{_ARRAYS} in {directory} does not belong to its {_JSON}; fit the predictor again")
        if (card["version"], card["features"]) != (_VERSION, features_digest()):
            raise PredictorError(f"the predictor in {directory} was saved by another version; fit it again")
        if not isinstance(card["options"], dict):
            raise TypeError(f"its options, which are {card['options']!r}")
        return _restored(card, load(content))
    except PredictorError as error:
        told = str(error) if str(directory) in str(error) else f"{directory / _JSON}: {error}; fit the predictor again"
        raise PredictorError(told) from error
    except (AttributeError, LookupError, OverflowError, TypeError, ValueError) as error:
        raise PredictorError(f"{_JSON} in {directory} lacks or mistakes {error}; fit the predictor again") from error


def _restored(card: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> LatencyPredictor:
    predictor = get_predictor(card["predictor"], card["options"])
    predictor.restore(arrays, card["values"])
    predictor.is_fitted = True
    if set(_HELD_OUT) <= set(arrays):
        predictor.calibrate(HeldOut(*(arrays[name] for name in _HELD_OUT)))
    return predictor
