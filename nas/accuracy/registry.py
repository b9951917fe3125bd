"""Every accuracy predictor by its name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nas.accuracy.boosting import BoostingPredictor
from nas.accuracy.ensemble import EnsemblePredictor
from nas.accuracy.errors import AccuracyError
from nas.accuracy.gaussian_process import GaussianProcessPredictor
from nas.accuracy.mlp import MlpPredictor
from nas.accuracy.predictor import AccuracyPredictor
from nas.accuracy.ridge import RidgePredictor
from nas.accuracy.svr import SvrPredictor
from search_spaces import SearchSpace

_CLASSES: dict[str, type[AccuracyPredictor]] = {}


def register_accuracy_predictor(predictor: type[AccuracyPredictor]) -> type[AccuracyPredictor]:
    """Decorator: the class can be made by its ``name``; the first line of its docstring describes it.

    Raises:
        AccuracyError: the name is taken.
    """
    if predictor.name in _CLASSES:
        raise AccuracyError(
            f"an accuracy predictor named {predictor.name!r} is registered already; choose another name"
        )
    _CLASSES[predictor.name] = predictor
    return predictor


for _predictor in (
    BoostingPredictor,
    EnsemblePredictor,
    GaussianProcessPredictor,
    MlpPredictor,
    RidgePredictor,
    SvrPredictor,
):
    register_accuracy_predictor(_predictor)


def accuracy_predictor_names() -> list[str]:
    """Names that ``get_accuracy_predictor`` knows."""
    return sorted(_CLASSES)


def describe_accuracy_predictor(name: str) -> str:
    """One line about a predictor."""
    return (_class(name).__doc__ or "").strip().split("\n")[0]


def get_accuracy_predictor(
    name: str, space: SearchSpace, options: Mapping[str, Any] | None = None
) -> AccuracyPredictor:
    """Make a predictor that has learnt nothing yet.

    Args:
        name: one of ``accuracy_predictor_names()``.
        space: whose networks it predicts.
        options: further arguments of that predictor.

    Raises:
        AccuracyError: an unknown name, or options that the predictor does not have or cannot use.
    """
    try:
        return _class(name)(space, **(options or {}))
    except TypeError as error:
        given = dict(options or {})
        raise AccuracyError(f"accuracy predictor {name!r} cannot be made with options {given}: {error}") from error


def _class(name: str) -> type[AccuracyPredictor]:
    if name not in _CLASSES:
        raise AccuracyError(f"there is no accuracy predictor {name!r}; there are {accuracy_predictor_names()}")
    return _CLASSES[name]
