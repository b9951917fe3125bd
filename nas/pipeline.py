"""Runs the stages of a run, in order and at most once each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from nas.config import Config
from nas.errors import NasError
from nas.preflight import check, notes
from nas.progress import Progress, Silent
from nas.run_directory import STAGES, RunDirectory
from nas.stages import confirm, export, fit, profile, report, search, train
from nas.stages.context import Context

_STAGES: dict[str, Callable[[Context], None]] = {
    "train": train.run,
    "profile": profile.run,
    "fit": fit.run,
    "search": search.run,
    "confirm": confirm.run,
    "export": export.run,
    "report": report.run,
}


def prepare(config: Config, run_dir: Path, *, progress: Progress | None = None) -> RunDirectory:
    """Check all that can be checked without computing, and make the run directory or open the one that is there.

    Args:
        config: the run.
        run_dir: its directory.
        progress: listener, told what was probably not meant.

    Raises:
        SupernetError, NasError: see ``preflight.check``; or a directory that holds something else. Nothing was changed
            then.
    """
    check(config)
    for note in notes(config):
        (progress or Silent()).note(note)
    return RunDirectory.create(run_dir, config)


def run(config: Config, run_dir: Path, *, progress: Progress | None = None) -> RunDirectory:
    """Run every stage that is not done yet.

    Args:
        config: the run; see ``load_config``.
        run_dir: its directory; made if it is not there, gone on with if it holds the same run.
        progress: listener.

    Raises:
        NasError: see ``prepare``, and each stage.
    """
    directory = prepare(config, run_dir, progress=progress)
    with directory.locked():
        context = Context(directory, progress or Silent())
        for stage in STAGES:
            _run(context, stage)
    return directory


def run_stage(run_dir: Path, stage: str, *, data: Path | None = None, progress: Progress | None = None) -> None:
    """Run one stage of an existing run, unless it is done.

    Args:
        run_dir: directory of the run.
        stage: one of ``STAGES``.
        data: where the images are now, if they moved.
        progress: listener.

    Raises:
        NasError: an unknown stage, no run there, an earlier stage is not done, or what the stage itself raises.
    """
    if stage not in _STAGES:
        raise NasError(f"there is no stage {stage!r}; allowed: {', '.join(STAGES)}")
    directory = RunDirectory(run_dir, data=data)
    context = Context(directory, progress or Silent())
    if stage == "report":  # reads what there is, also of a run that is working meanwhile
        _run(context, stage)
        return
    with directory.locked():
        for earlier in STAGES[: STAGES.index(stage)]:
            directory.require(earlier, needed_by=stage)
        _run(context, stage)


def _run(context: Context, stage: str) -> None:
    # The report is quick, and a finished one may be of a run that has gone on since.
    if stage != "report" and context.run.is_done(stage):
        context.progress.note(f"{stage}: done before")
        return
    _STAGES[stage](context)
