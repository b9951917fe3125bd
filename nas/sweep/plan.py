"""What a sweep varies, read from a YAML file, and the trials that it comes to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import Field, ValidationError, field_validator

from devices import MOST_THREADS
from nas.config import Config, make_config, parse_yaml
from nas.config.booleans import told_as_text
from nas.config.errors import explain
from nas.config.section import Section
from nas.errors import NasError
from nas.objective import Limit
from nas.preflight import rehearse_search
from nas.stages.context import Context
from nas.stages.evaluators import made_of
from nas.stages.history import STORED

FOLDER: Final = ("sweep", "trials")
"""Parts of the path in the run directory under which every trial has its folder."""

OWN: Final = "own"
"""Name of the run's own strategy, and of its own limits, where a sweep gives none."""

_SHARED: Final = ("threads", "validation_images", *STORED)
"""What trials cannot have for themselves: accuracies must be comparable, and each trial keeps its own study."""


def _own() -> dict[str, dict[str, Any]]:
    return {OWN: {}}


class SweepSection(Section):
    """A whole sweep: every strategy under all limits with every seed.

    Attributes:
        seeds: of the search's own randomness; images and weights are the run's.
        strategies: by a name of one's own, keys of a config's ``search`` that take the place of the run's. Options of
            the run go with its strategy: another one has its defaults.
        limits: by a name of one's own, limits in the place of the run's; those of boards stay.
        evaluations: candidates that every trial judges; the run's ``search.evaluations`` if left out.
        threads: threads of each trial; those of the run's search if left out. Accuracies depend on them, by an image or
            so.
    """

    seeds: tuple[Annotated[int, Field(ge=0, lt=2**63)], ...] = Field(min_length=1)
    strategies: dict[str, dict[str, Any]] = Field(default_factory=_own, min_length=1)
    limits: dict[str, tuple[Limit, ...]] = Field(default_factory=dict)
    evaluations: int | None = Field(None, ge=1)
    threads: int | None = Field(None, ge=1, le=MOST_THREADS)

    @field_validator("seeds")
    @classmethod
    def _once(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        for seed in seeds:
            if seeds.count(seed) > 1:
                raise ValueError(f"seed {seed} is given twice; the same seed gives the same search")
        return seeds

    @field_validator("strategies")
    @classmethod
    def _comparable(cls, strategies: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        for name, given in strategies.items():
            options = given.get("options")
            inner = options if isinstance(options, dict) else {}
            for key in _SHARED:
                if key in given or key in inner:
                    raise ValueError(
                        f"strategy {name!r} gives {key}, which all trials share with the run; leave it out"
                    )
        return strategies


@dataclass(frozen=True)
class Trial:
    """One search of a sweep.

    Attributes:
        strategy: its name in the sweep.
        limits: name of its limits in the sweep.
        seed: of the search.
        config: the run's, with this trial's strategy and limits.
        key: name of its folder, the same for all that leads to the same search.
    """

    strategy: str
    limits: str
    seed: int
    config: Config
    key: str

    @property
    def label(self) -> str:
        """The trial as people write it."""
        return f"{self.strategy}, {self.limits}, seed {self.seed}"


def load_sweep(path: Path) -> SweepSection:
    """Read a sweep.

    Raises:
        NasError: the file is missing or no YAML, or does not describe a sweep; the message names every key at fault.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise NasError(
            f"sweep {path} cannot be read ({error}); give a YAML file with seeds, and strategies or limits to compare"
        ) from error
    try:
        return SweepSection.model_validate(told_as_text(parse_yaml(text, str(path)), SweepSection))
    except ValidationError as error:
        raise NasError(explain(error, SweepSection, str(path))) from error
    except NasError as error:
        raise NasError(_with(path, error)) from error


def make_trials(context: Context, sweep: SweepSection, origin: str) -> list[Trial]:
    """Every trial of a sweep, each checked as far as it can be without searching.

    Args:
        context: the run, whose predictors are fitted.
        sweep: what it varies.
        origin: name of the sweep, for messages.

    Raises:
        NasError: a strategy or limits that the run cannot have.
    """
    found_by = made_of(context)
    trials = []
    limits = {name: [_plain(limit) for limit in given] for name, given in sweep.limits.items()}
    limits = limits or {OWN: [_plain(limit) for limit in context.config.limits]}
    for (strategy, changes), (name, bounds) in product(sweep.strategies.items(), limits.items()):
        values = context.config.model_dump(mode="json")
        values["search"] = _search(values["search"], changes, sweep.evaluations)
        values["limits"] = bounds
        where = f"{origin}: strategy {strategy!r} under limits {name!r}"
        config = make_config(values, where)
        try:
            rehearse_search(config)
        except NasError as error:
            raise NasError(f"{where}: {error}") from error
        trials += [Trial(strategy, name, seed, config, _key(config, seed, found_by)) for seed in sweep.seeds]
    return trials


def _search(own: Mapping[str, Any], changes: Mapping[str, Any], evaluations: int | None) -> dict[str, Any]:
    """The values of a trial's ``search`` section."""
    same = changes.get("strategy", own["strategy"]) == own["strategy"]
    options = {name: value for name, value in own["options"].items() if same and name not in STORED}
    planned = {} if evaluations is None else {"evaluations": evaluations}
    return {**own, "options": options, **planned, **changes}


def _key(config: Config, seed: int, found_by: list[str]) -> str:
    fleet = None if config.fleet is None else config.fleet.model_dump(mode="json")
    # How many are asked for at once decides on what is found, so the whole section counts.
    decides = [config.search.model_dump(mode="json"), config.problem.to_json(), fleet, seed, found_by]
    digest = hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()
    return f"{config.search.strategy}-{seed}-{digest[:12]}"


def _plain(limit: Limit) -> dict[str, Any]:
    return {"metric": limit.metric, "at_most": limit.at_most, "at_least": limit.at_least}


def _with(path: Path, error: NasError) -> str:
    return str(error) if str(path) in str(error) else f"{path}: {error}"
