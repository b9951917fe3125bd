"""What the trials of a sweep came to: a row for each, and mean and spread over the seeds."""

from __future__ import annotations

import csv
import io
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.candidate import ACCURACY, Candidate
from nas.evaluate import breaks
from nas.files import read_json, reading, write_json, write_text
from nas.objective import Limit
from nas.pareto import ParetoFront
from nas.stages.history import History
from nas.sweep.box import Box
from nas.sweep.plan import FOLDER, Trial
from nas.sweep.trial import Standing

Row = dict[str, Any]

_SPREAD = ("hypervolume", "best_accuracy")


@dataclass(frozen=True)
class Results:
    """A sweep's results.

    Attributes:
        trials: a row for each trial, in the sweep's order: ``strategy``, ``limits``, ``seed``, ``trial`` (its folder),
            ``evaluations``, ``hypervolume`` (share of the box), ``front`` (members), ``best_accuracy`` (by limits: of
            what it evaluated and what keeps them; None where nothing does), ``seconds``, ``warnings``, and ``error``,
            None where nothing went wrong.
        summary: a row for each strategy under all limits: ``strategy``, ``limits``, ``trials`` (without an error),
            ``failed``, and ``hypervolume`` and ``best_accuracy`` (under these limits), each with ``mean``, ``sd`` (None
            of a single trial), ``min`` and ``max``, or None.
    """

    trials: Sequence[Row]
    summary: Sequence[Row]


def collect(run: Path, trials: Sequence[Trial], box: Box, errors: Mapping[str, str]) -> Results:
    """Read what trials left in the run directory.

    Args:
        run: the run directory.
        trials: of the sweep.
        box: what hypervolumes are shares of.
        errors: why trials failed, by their keys.

    Raises:
        NasError: a damaged file.
    """
    bounds = {trial.limits: trial.config.problem.limits for trial in trials}
    rows = [_row(run, trial, box, bounds, errors.get(trial.key)) for trial in trials]
    kinds = dict.fromkeys((trial.strategy, trial.limits) for trial in trials)
    return Results(rows, [_summary(rows, *kind) for kind in kinds])


def write(results: Results, folder: Path, about: Mapping[str, Any]) -> None:
    """Write ``results.json`` and, for spreadsheets, ``results.csv``.

    Args:
        results: of the sweep.
        folder: where to.
        about: what else is to be known of the sweep, in values that ``json`` writes.
    """
    write_json(folder / "results.json", {**about, "trials": list(results.trials), "summary": list(results.summary)})
    stream = io.StringIO(newline="")
    rows = [_flat(row) for row in results.trials]
    writer = csv.DictWriter(stream, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    write_text(folder / "results.csv", stream.getvalue())


def _row(run: Path, trial: Trial, box: Box, bounds: Mapping[str, Sequence[Limit]], error: str | None) -> Row:
    folder = run.joinpath(*FOLDER, trial.key)
    judged = History(folder, "sweep").judged() if (folder / "state.json").is_file() else []
    front = ParetoFront.of(judged, trial.config.problem)
    standing = Standing.read(folder)
    return {
        "strategy": trial.strategy,
        "limits": trial.limits,
        "seed": trial.seed,
        "trial": trial.key,
        "evaluations": standing.evaluations,
        "hypervolume": box.share(front),
        "front": len(front),
        "best_accuracy": {name: _best(judged, limits) for name, limits in bounds.items()},
        "seconds": standing.seconds,
        "warnings": _warnings(folder),
        "error": error,
    }


def _best(judged: Sequence[Candidate], limits: Sequence[Limit]) -> float | None:
    """The highest accuracy that keeps some limits; candidates that broke the trial's own have none."""
    found = [one.value(ACCURACY) for one in judged if one.source(ACCURACY) == "evaluated" and not breaks(one, limits)]
    return max(found, default=None)


def _warnings(folder: Path) -> list[str]:
    path = folder / "trial.json"
    if not path.is_file():
        return []
    with reading(path):
        return [str(warning) for warning in read_json(path)["warnings"]]


def _summary(rows: Sequence[Row], strategy: str, limits: str) -> Row:
    alike = [row for row in rows if (row["strategy"], row["limits"]) == (strategy, limits)]
    good = [row for row in alike if row["error"] is None]
    values = {
        "hypervolume": [row["hypervolume"] for row in good],
        "best_accuracy": [row["best_accuracy"][limits] for row in good],
    }
    spreads = {name: _spread([v for v in values[name] if v is not None]) for name in _SPREAD}
    return {"strategy": strategy, "limits": limits, "trials": len(good), "failed": len(alike) - len(good), **spreads}


def _spread(values: Sequence[float]) -> dict[str, float | None] | None:
    if not values:
        return None
    sd = statistics.stdev(values) if len(values) > 1 else None
    return {"mean": statistics.fmean(values), "sd": sd, "min": min(values), "max": max(values)}


def _flat(row: Row) -> Row:
    """A row of a table, whose cells are no lists."""
    best = {f"best_accuracy.{name}": value for name, value in row["best_accuracy"].items()}
    return {**{k: v for k, v in row.items() if k not in ("best_accuracy", "warnings")}, **best}
