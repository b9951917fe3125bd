"""Every latency predictor by its name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from latency_predictors.boosting import FeaturePredictor
from latency_predictors.cost_model import CostModelPredictor
from latency_predictors.errors import PredictorError
from latency_predictors.few_shot_predictor import FewShotPredictor
from latency_predictors.predictor import LatencyPredictor
from latency_predictors.table import BlockTablePredictor

_CLASSES: dict[str, type[LatencyPredictor]] = {}


def register_predictor(predictor: type[LatencyPredictor]) -> type[LatencyPredictor]:
    """Decorator: the class can be made by its ``name``; the first line of its docstring describes it.

    Raises:
        PredictorError: the name is taken.
    """
    if predictor.name in _CLASSES:
        raise PredictorError(f"a predictor named {predictor.name!r} is registered already; choose another name")
    _CLASSES[predictor.name] = predictor
    return predictor


for _predictor in (BlockTablePredictor, CostModelPredictor, FeaturePredictor, FewShotPredictor):
    register_predictor(_predictor)


def predictor_names() -> list[str]:
    """Names that ``get_predictor`` knows."""
    return sorted(_CLASSES)


def describe_predictor(name: str) -> str:
    """One line about a predictor."""
    return (_class(name).__doc__ or "").strip().split("\n")[0]


def get_predictor(name: str, options: Mapping[str, Any] | None = None) -> LatencyPredictor:
    """Make a predictor that has learnt nothing yet.

    Args:
        name: one of ``predictor_names()``.
        options: arguments of that predictor.

    Raises:
        PredictorError: an unknown name, or options that the predictor does not have or cannot use.
    """
    try:
        return _class(name)(**(options or {}))
    except TypeError as error:
        given = dict(options or {})
        raise PredictorError(f"predictor {name!r} cannot be made with options {given}: {error}") from error


def _class(name: str) -> type[LatencyPredictor]:
    if name not in _CLASSES:
        raise PredictorError(f"there is no predictor {name!r}; there are {predictor_names()}")
    return _CLASSES[name]
