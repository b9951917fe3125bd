"""Trials of a sweep as trials of Ray Tune, as many at once as there is room for."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nas.distributed.cluster import connected, last_line, set_aside
from nas.distributed.evaluation import supplies
from nas.distributed.judge import Supplies
from nas.run_directory import RunDirectory
from nas.stages.context import Context
from nas.sweep.box import Box
from nas.sweep.plan import FOLDER, Trial
from nas.sweep.standings import ERROR, Standings
from nas.sweep.trial import Standing, run_trial
from search_spaces import Architecture

if TYPE_CHECKING:
    from ray.tune import Callback
    from ray.tune.experiment import Trial as TuneTrial

ATTEMPTS: Final = 3
"""How often a trial whose process was lost goes on in another one."""

_QUIET: Final = {
    "RAY_AIR_NEW_OUTPUT": "0",  # the new output shows tables whatever it is told
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # the trial's own record says all that they would
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C ends everything at once: nothing is lost by it
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
}


def run_trials(context: Context, trials: Sequence[Trial], box: Box, parallel: int | None) -> dict[str, str]:
    """Run trials, or go on with them, and say why those failed that did, by their keys.

    Each has a process with the threads, or the GPU, that evaluate one candidate. On several machines the run directory
    lies on a disk that all of them see; images and weights are sent to them.

    Args:
        context: the run.
        trials: each once, none of them done.
        box: what hypervolumes are shares of.
        parallel: how many at once; as many as the cluster has room for if None.

    Raises:
        NasError: the cluster is too small.
    """
    if not trials:
        return {}
    with connected():
        needs = set_aside(
            "trials at once",
            parallel or 1,
            threads=context.config.evaluation_threads,
            gpu=context.config.train_settings.resolve_device().type == "cuda",
            remedy="lower --parallel, or threads of the sweep",
        )
        return _tune(context, trials, box, needs, parallel)


def _tune(
    context: Context, trials: Sequence[Trial], box: Box, needs: Mapping[str, float], parallel: int | None
) -> dict[str, str]:
    with _quiet():
        from ray import tune  # noqa: PLC0415 (seconds, and it reads the environment)

        by_key = {trial.key: trial for trial in trials}
        standings = Standings(context, by_key)
        work = tune.with_parameters(
            _work, run=str(context.run.path.resolve()), trials=by_key, box=box, supplies=supplies(context)
        )
        with _scratch(context) as folder:
            tune.Tuner(
                tune.with_resources(work, tune.PlacementGroupFactory([dict(needs)])),
                param_space={"trial": tune.grid_search(list(by_key))},
                # A process takes seconds to begin, so it goes from trial to trial, which share nothing in it.
                tune_config=tune.TuneConfig(max_concurrent_trials=parallel, reuse_actors=True),
                run_config=tune.RunConfig(
                    name="tune",
                    storage_path=str(folder),
                    callbacks=[_callback(standings)],
                    failure_config=tune.FailureConfig(max_failures=ATTEMPTS),
                    verbose=0,
                ),
            ).fit()
    return standings.errors


def _work(config: dict[str, str], *, run: str, trials: Mapping[str, Trial], box: Box, supplies: Supplies) -> None:
    """One trial, in a process of Ray's."""
    from ray import tune  # noqa: PLC0415

    judge = supplies.judge()

    def accuracies(archs: Sequence[Architecture]) -> Iterator[tuple[Architecture, float]]:
        for arch in archs:
            yield arch, judge(arch)

    def told(standing: Standing) -> None:
        tune.report({"evaluations": standing.evaluations, "hypervolume": standing.hypervolume})

    try:
        run_trial(RunDirectory(Path(run)), trials[config["trial"]], box, accuracies, told)
    except Exception as error:  # reported, not raised: Tune would try again, and nothing but a lost process is worth it
        tune.report({ERROR: str(error) or type(error).__name__})


def _callback(standings: Standings) -> Callback:
    """What Tune calls in this process."""
    from ray import tune  # noqa: PLC0415

    class Listener(tune.Callback):
        def on_trial_result(
            self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, result: dict[str, Any], **info: object
        ) -> None:
            standings.report(trial.config["trial"], result)

        def on_trial_complete(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: object) -> None:
            standings.end(trial.config["trial"])

        def on_trial_recover(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: object) -> None:
            standings.lose(trial.config["trial"])

        def on_trial_error(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: object) -> None:
            lost = trial.get_error()
            reason = last_line(lost) if lost else "Ray does not say why"
            standings.fail(
                trial.config["trial"],
                f"its process was lost {ATTEMPTS + 1} times, the last time with: {reason}",
            )

    return Listener()


@contextmanager
def _scratch(context: Context) -> Iterator[Path]:
    """Where Tune keeps its own state, which nothing goes on from: beside the trials, where every machine sees it."""
    parent = context.path(FOLDER[0]).resolve()
    parent.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=".tune-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _quiet() -> Iterator[None]:
    """Have Tune write no logs and say nothing: what it would say names files that are gone by then."""
    before = {name: os.environ.get(name) for name in _QUIET}
    logger = logging.getLogger("ray.tune")
    level = logger.level
    os.environ.update(_QUIET)
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
