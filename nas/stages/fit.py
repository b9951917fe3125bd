"""Fit: a latency predictor for every target, checked on networks that it has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from latency_predictors import (
    FewShotPredictor,
    LatencyPredictor,
    PredictorScores,
    load_predictor,
    save_predictor,
    select_predictor,
)
from nas.errors import NasError
from nas.files import read_json, reading, write_json
from nas.stages.context import Context

_FOLDER = "predictors"

Row = dict[str, Any]


def run(context: Context) -> None:
    """Fit predictors to the profile's measurements.

    Raises:
        NasError: the best predictor of a target fails its check, and the config says to stop then.
        PredictorError: measurements nothing can be learnt from.
    """
    path = context.run.result("profile")
    with reading(path):
        measured = rows_by_target(context, read_json(path)["rows"])
    context.progress.start("fit", len(context.targets), "target")
    rows: dict[str, Row] = {}
    for target in context.targets:
        rng, folder = context.rng("fit", target.name), context.path(_FOLDER, target.name)
        rows[target.name] = fit_target(context, measured[target.name], rng, folder)
        context.progress.advance(detail=target.name)
        context.progress.note(f"fit: {target.name}: {rows[target.name]['verdict']}")
    failed = [name for name, row in rows.items() if not row["passed"]]
    if failed and context.config.predictor.on_failure == "error":
        raise NasError(_explain(context, failed, rows))
    write_json(context.run.result("fit"), {"targets": rows})


def fitted_predictors(context: Context) -> dict[str, LatencyPredictor]:
    """The predictor of every target whose check was passed, by the target's name."""
    path = context.run.result("fit")
    with reading(path):
        rows = read_json(path)["targets"]
        # By the config: whoever predicts may be on a machine without the devices.
        passed = [target.name for target in context.config.targets if rows[target.name]["passed"]]
    return {name: load_predictor(context.path(_FOLDER, name)) for name in passed}


def rows_by_target(context: Context, rows: Sequence[Row]) -> dict[str, list[Row]]:
    """What was measured on each target, failures left out; ``arch`` is the network of a row."""
    usable = [
        {**row, "median_s": float(row["median_s"]), "arch": context.architecture(row)}
        for row in rows
        if row["error"] is None
    ]
    return {target.name: [row for row in usable if row["target"] == target.name] for target in context.targets}


def fit_target(context: Context, measured: Sequence[Row], rng: np.random.Generator, folder: Path) -> Row:
    """Fit the predictors of the config to one target's measurements, and save the best.

    Args:
        context: the run.
        measured: of ``rows_by_target``.
        rng: draws the folds of the held-out check.
        folder: where the best is saved.

    Raises:
        PredictorError: measurements nothing can be learnt from.
    """
    section = context.config.predictor
    networks = [context.space.lower(row["arch"]) for row in measured]
    latencies_s = np.array([row["median_s"] for row in measured])
    options = {FewShotPredictor.name: {"fleet": section.fleet}}
    predictor, scores = select_predictor(
        section.names, networks, latencies_s, rng, folds=section.folds, options=options
    )
    best = scores[predictor.name]
    passed = best.passes(min_spearman=section.min_spearman, max_mape=section.max_mape)
    save_predictor(predictor, folder)
    held_out = predictor.held_out_
    points = [] if held_out is None else zip(measured, held_out.measured_s, held_out.predicted_s, strict=True)
    return {
        "used": predictor.name if passed else None,
        "best": predictor.name,
        "passed": passed,
        "verdict": _verdict(context, predictor.name, best, passed=passed),
        "candidates": [{"predictor": name, "scores": score.to_json()} for name, score in scores.items()],
        "points": [{"key": row["key"], "measured_s": float(m), "predicted_s": float(p)} for row, m, p in points],
    }


def _verdict(context: Context, name: str, scores: PredictorScores, *, passed: bool) -> str:
    section = context.config.predictor
    found = f"rank correlation {scores.spearman:.3f}, mean error {scores.mape:.1%} on {scores.count} held-out networks"
    wanted = f"wanted: at least {section.min_spearman:g} and at most {section.max_mape:.0%}"
    if passed:
        return f"{name} is used: {found}"
    measured = "; candidates are measured instead" if section.on_failure == "measure" else ""
    return f"{name}, the best, fails its check: {found} ({wanted}){measured}"


def _explain(context: Context, failed: list[str], rows: dict[str, Row]) -> str:
    told = "; ".join(f"{name}: {rows[name]['verdict']}" for name in failed)
    config, path = context.config, context.run.path
    return (
        f"latency cannot be predicted well enough. {told}. Measure more networks (profile.networks, now "
        f"{config.profile.networks}) or longer (measure.min_time_s, now {config.measure.min_time_s:g}): delete "
        f"{path / 'profile'} and run again with `nas run CONFIG --run-dir {path} --set profile.networks=...`; or have "
        "every candidate of the search measured: --set predictor.on_failure=measure"
    )
