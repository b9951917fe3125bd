"""One trial of a sweep: a search with its own store, and a record of how far it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from nas.candidate import Candidate
from nas.evaluate import Accuracies
from nas.files import read_json, reading, write_json
from nas.lock import exclusive
from nas.pareto import ParetoFront
from nas.progress import Silent
from nas.run_directory import RunDirectory
from nas.stages.context import Context
from nas.stages.evaluators import make_evaluator
from nas.stages.fit import fitted_predictors
from nas.stages.limits import starting_points
from nas.stages.searching import search_on
from nas.sweep.box import Box
from nas.sweep.plan import FOLDER, Trial

_PATIENCE_S: Final = 60.0


@dataclass(frozen=True)
class Standing:
    """How far a trial is, as of its last whole batch.

    Attributes:
        evaluations: candidates judged.
        seconds: time that it took, that of batches which were lost left out.
        hypervolume: share of the sweep's box that its front dominates.
        done: nothing more is to be judged.
    """

    evaluations: int = 0
    seconds: float = 0.0
    hypervolume: float | None = None
    done: bool = False

    @classmethod
    def read(cls, folder: Path) -> Standing:
        """What a trial's folder says; of one that has not begun, that.

        Raises:
            NasError: a file that is damaged.
        """
        path = folder / "trial.json"
        if not path.is_file():
            return cls()
        with reading(path):
            row = read_json(path)["standing"]
            volume = row["hypervolume"]
            return cls(
                int(row["evaluations"]),
                float(row["seconds"]),
                None if volume is None else float(volume),
                bool(row["done"]),
            )


class Notes(Silent):
    """Keeps what a search would warn of."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, message: str) -> None:
        """See ``Progress``."""
        self.warnings.append(message)


def run_trial(
    run: RunDirectory, trial: Trial, box: Box, accuracies: Accuracies, told: Callable[[Standing], None]
) -> None:
    """Search until the trial's candidates are judged, or go on where an earlier process stopped.

    Args:
        run: the run, whose own results stay as they are.
        trial: which search to make.
        box: what its hypervolume is a share of.
        accuracies: evaluates architectures as the run does.
        told: told where the trial stands, when it begins and after each batch.

    Raises:
        UnreachableError: limits that no network meets by what is counted and predicted.
        NasError: another process is at this trial, or what the search raises.
    """
    notes, path = Notes(), run.path.joinpath(*FOLDER, trial.key)
    # One that was given up may take a moment to end.
    with exclusive(path / ".lock", patience_s=_PATIENCE_S):
        before, began = Standing.read(path), time.monotonic()

        def keep(judged: Sequence[Candidate], *, done: bool = False) -> None:
            volume = box.share(ParetoFront.of(judged, trial.config.problem))
            standing = Standing(len(judged), before.seconds + time.monotonic() - began, volume, done)
            write_json(path / "trial.json", _record(trial, standing, notes))
            told(standing)

        keep(_search(Context(run, notes, trial.config), trial, accuracies, keep), done=True)


def _search(
    context: Context, trial: Trial, accuracies: Accuracies, keep: Callable[[Sequence[Candidate]], None]
) -> list[Candidate]:
    folder, evaluations = (*FOLDER, trial.key), trial.config.search.evaluations
    evaluator = make_evaluator(context, fitted_predictors(context), accuracies, folder)
    problem, rng = trial.config.problem, context.rng(*folder, "limits")
    first = starting_points(context.space, problem, evaluator.cheap, rng, count=-(-evaluations // 4))
    return search_on(context, evaluator, None, folder, evaluations=evaluations, first=first, on_batch=keep)


def _record(trial: Trial, standing: Standing, notes: Notes) -> dict[str, Any]:
    config = trial.config
    return {
        "seed": trial.seed,
        "search": config.search.model_dump(mode="json"),
        **config.problem.to_json(),
        "standing": asdict(standing),
        "warnings": notes.warnings,
    }
