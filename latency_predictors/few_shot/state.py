"""A fleet and a target as arrays and plain values, for saving; the reverse gives the same to the last bit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from latency_predictors.few_shot.description import Scaling
from latency_predictors.few_shot.fleet import Fleet
from latency_predictors.few_shot.plain import PlainMix
from latency_predictors.few_shot.posterior import Hypotheses
from latency_predictors.few_shot.prior import Deviations
from latency_predictors.few_shot.response import SHIFTS
from latency_predictors.few_shot.sources import Sources
from latency_predictors.few_shot.target import Encoded, Target

Arrays: TypeAlias = dict[str, NDArray[Any]]
_SCALING = ("kept", "mean", "spread", "group", "lowest", "highest")
_ENCODED = ("features", "group", "mixed")


def target_state(target: Target) -> tuple[Arrays, dict[str, Any]]:
    """Everything a target predicts with, its fleet among it."""
    fleet = target.fleet
    arrays = {f"scaling.{name}": getattr(fleet.scaling, name) for name in _SCALING}
    arrays |= {f"sources.{field.name}": getattr(fleet.sources, field.name) for field in fields(Sources)}
    arrays |= {f"seen.{name}": getattr(target.seen, name) for name in _ENCODED}
    arrays |= {"quantity_typical": fleet.quantity_typical, "log_moments": fleet.log_moments}
    arrays |= _parts("plain", target.plain)
    for index, known in enumerate(fleet.deviations):
        arrays |= _parts(f"deviations.{index}", known)
    for index, found in enumerate(target.hypotheses):
        arrays |= _parts(f"hypotheses.{index}", found)
    return arrays, {
        "groups": [list(group) for group in fleet.scaling.groups],
        "fine": list(fleet.fine),
        "quantities": list(fleet.quantities),
        "widening": list(fleet.widening),
        "strangest": None if np.isinf(fleet.strangest) else fleet.strangest,
        "typical_s": target.typical_s,
    }


def target_from(arrays: Mapping[str, NDArray[Any]], values: Mapping[str, Any]) -> Target:
    """The reverse of ``target_state``.

    Raises:
        KeyError: something is missing.
    """
    groups = tuple((str(name), int(width)) for name, width in values["groups"])
    strangest = values["strangest"]
    fleet = Fleet(
        scaling=Scaling(groups, *(arrays[f"scaling.{name}"] for name in _SCALING)),
        fine=tuple(values["fine"]),
        quantities=tuple(values["quantities"]),
        quantity_typical=arrays["quantity_typical"],
        sources=Sources(*(arrays[f"sources.{field.name}"] for field in fields(Sources))),
        log_moments=arrays["log_moments"],
        deviations=tuple(
            Deviations(**_whole(f"deviations.{index}", Deviations, arrays)) for index in range(len(SHIFTS))
        ),
        widening=tuple(float(factor) for factor in values["widening"]),
        strangest=np.inf if strangest is None else float(strangest),
    )
    found = tuple(Hypotheses(**_whole(f"hypotheses.{index}", Hypotheses, arrays)) for index in range(len(SHIFTS)))
    seen, plain = Encoded(*(arrays[f"seen.{name}"] for name in _ENCODED)), PlainMix(**_whole("plain", PlainMix, arrays))
    return Target(fleet, seen, float(values["typical_s"]), found, plain)


def _parts(prefix: str, whole: Deviations | Hypotheses | PlainMix) -> Arrays:
    return {f"{prefix}.{field.name}": np.asarray(getattr(whole, field.name)) for field in fields(whole)}


def _whole(
    prefix: str, kind: type[Deviations | Hypotheses | PlainMix], arrays: Mapping[str, NDArray[Any]]
) -> dict[str, Any]:
    found = {field.name: arrays[f"{prefix}.{field.name}"] for field in fields(kind)}
    return {name: float(array) if array.ndim == 0 else array for name, array in found.items()}
