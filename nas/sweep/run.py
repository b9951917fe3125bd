"""Runs a whole sweep inside a run directory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from nas.config import Config
from nas.distributed.sweeping import run_trials
from nas.errors import NasError
from nas.progress import Progress, Silent
from nas.run_directory import RunDirectory
from nas.stages.context import Context
from nas.stages.evaluators import predicting_judge
from nas.stages.fit import fitted_predictors
from nas.sweep.box import Box
from nas.sweep.plan import FOLDER, Trial, load_sweep, make_trials
from nas.sweep.results import Results, collect, write
from nas.sweep.trial import Standing

_DRAWN: Final = 64


def run_sweep(
    run_dir: Path,
    sweep: Path,
    *,
    parallel: int | None = None,
    data: Path | None = None,
    progress: Progress | None = None,
) -> Results:
    """Make every search of a sweep that is not done yet, and write ``sweep/results.json`` and ``sweep/results.csv``.

    The run's own search is left alone. Trials go on where an earlier sweep stopped, also one of another file with some
    of the same trials in it; those that failed are tried again.

    Args:
        run_dir: directory of a run whose predictors are fitted.
        sweep: YAML file that says what to vary; see ``SweepSection``.
        parallel: trials at once; as many as the Ray cluster has room for if left out. It decides on no result.
        data: where the images are now, if they moved.
        progress: listener.

    Raises:
        NasError: no run there, an earlier stage is not done, a sweep that the run cannot have, a cluster too small, or
            every trial failed.
    """
    run = RunDirectory(run_dir, data=data)
    with run.locked():
        for stage in ("train", "profile", "fit"):
            run.require(stage, needed_by="sweep")
        section = load_sweep(sweep)
        context = Context(run, progress or Silent(), _with_threads(run.config, section.threads))
        _check_predictors(context)
        trials = make_trials(context, section, str(sweep))
        box = _box(context)
        errors = run_trials(context, _missing(context, trials), box, parallel)
        results = collect(run.path, trials, box, errors)
        about = {"sweep": section.model_dump(mode="json"), "box": box.to_json()}
        write(results, run.path / FOLDER[0], about)
    if len(errors) == len({trial.key for trial in trials}):
        raise NasError(f"every trial failed, the first with: {errors[trials[0].key]}")
    return results


def _with_threads(config: Config, threads: int | None) -> Config:
    if threads is None:
        return config
    return config.model_copy(update={"search": config.search.model_copy(update={"threads": threads})})


def _check_predictors(context: Context) -> None:
    """Refuse a sweep that would measure: trials at the same time would disturb one another on the device."""
    predictors = fitted_predictors(context)
    for target in context.config.targets:
        if target.name not in predictors:
            raise NasError(
                f"no predictor of target {target.name!r} passed its check, so a search measures every candidate there, "
                "which several searches at once cannot; profile more networks, or search once with `nas search`"
            )


def _missing(context: Context, trials: Sequence[Trial]) -> list[Trial]:
    """Each trial once that is not done; where the sweep stands is told."""
    unique = {trial.key: trial for trial in trials}
    at = {key: Standing.read(context.path(*FOLDER, key)) for key in unique}
    done = sum(standing.done for standing in at.values())
    if done:
        context.progress.note(f"sweep: {done} of {len(unique)} trials were done before")
    return [trial for key, trial in unique.items() if not at[key].done]


def _box(context: Context) -> Box:
    """Around the smallest network, the largest and random ones: the same for every sweep of the run."""
    space, rng = context.space, context.rng("sweep", "box")
    drawn = space.architectures(space.sample_indices(rng, _DRAWN))
    archs = [space.canonical(arch) for arch in (space.smallest(), space.largest(), *drawn)]
    judged = predicting_judge(context.config, fitted_predictors(context))(archs)
    return Box.around(judged, context.config.problem)
