"""What can be found wrong with a run before anything is computed: hours of training should not end in a bad option."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from latency_predictors import MINIMUM_CHECKED, KnownDevices
from nas.candidate import LATENCY, metric_unit
from nas.config import Config
from nas.errors import NasError
from nas.ledger import Ledger
from nas.search import get_searcher
from nas.search.optuna_study import check_storage
from nas.stages.limits import check_counted_limits
from nas.stages.targets import make_targets


def check(config: Config) -> None:
    """Check devices, images, space, limits, the searcher's options and the databases that are named.

    Raises:
        SupernetError: a GPU is asked for where there is none.
        PredictorError: a file of known devices that cannot be read.
        NasError: a device that cannot be used, images that are not there, a space with too few networks, a limit that
            no network meets, options that the searcher cannot use, or a database that cannot be opened.
    """
    if config.data.path is not None and not config.data.path.exists():
        raise NasError(f"the images are not at {config.data.path}; give data.path or --data PATH")
    config.train_settings.resolve_device()
    for target in make_targets(config):
        target.device.close()
    _check_size(config)
    check_counted_limits(config)
    rehearse_search(config)
    if config.ledger is not None:
        Ledger(config.ledger).close()
    if config.predictor.fleet is not None:
        KnownDevices.load(Path(config.predictor.fleet))


def notes(config: Config) -> list[str]:
    """What is allowed and was probably not meant, a sentence each: a latency limit of more than a second."""
    return [
        f"limits on {LATENCY} are in seconds: {limit.metric} at_most {limit.at_most:g} is {limit.at_most * 1e3:,.0f} ms"
        for limit in config.limits
        if metric_unit(limit.metric) == "s" and limit.at_most is not None and limit.at_most > 1
    ]


def _check_size(config: Config) -> None:
    size = config.make_space().size
    if size < MINIMUM_CHECKED:
        raise NasError(
            f"space {config.space.name!r} has {size} networks with these options; {MINIMUM_CHECKED} at least are "
            "needed to check a latency predictor: give space.options more to choose from"
        )


def rehearse_search(config: Config) -> None:
    """Make a run's searcher and ask it once; in memory, for a study in a storage must not begin here.

    Raises:
        NasError: options that the searcher cannot use.
    """
    section = config.search
    options = dict(section.options)
    if options.get("storage") is not None:
        options["storage"] = check_storage(options["storage"], shared=options.get("shared") is True)
    rng = np.random.default_rng(config.seed)
    try:
        searcher = get_searcher(
            section.strategy, config.make_space(), config.objectives, config.limits, rng=rng, options=options
        )
        searcher.ask(1)
    except NasError as error:
        raise NasError(f"search.options {dict(section.options)} cannot be used: {error}") from error
