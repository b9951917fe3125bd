"""The directory that holds a run: where each stage reads and writes.

==============================  ===============================================================================
``config.yaml``                 the run's config, defaults filled in
``split.json``                  which images train, validate, test and calibrate; digest of the images
``preprocessing.json``          how pixels become the numbers a network reads; class names
``train/``                      ``weights.safetensors``, checkpoint, ``log.jsonl`` (a row per epoch), ``result.json``
``ledger.sqlite``               every measurement ever made here
``profile/``                    ``plan.json`` (networks, order), ``measurements.json``; ``models/<key>/`` until measured
                                ``sentinel/`` (measured in between; ``confirm/`` has it as well)
``predictors/``                 ``<target>/`` (the predictor's own files), ``scores.json`` (held-out check)
``search/``                     ``candidates.jsonl`` (all judged), ``accuracies.jsonl`` (all evaluated), ``state.json``
                                (to resume), ``front.json``; ``accuracy_predictor/`` where accuracy was predicted
``sweep/``                      ``trials/<key>/`` (as ``search/``, with ``trial.json``), ``results.json`` and ``.csv``
``confirm/``                    ``models/<key>/`` (the files that are shipped), ``members/``, ``front.json``;
                                ``rounds/<number>/`` (``round.json``; from the second on ``fit.json``, ``predictors/``,
                                ``candidates.jsonl``, ``state.json``)
``export/``                     ``<member>/`` (files and ``card.json``), ``index.json``
``report/``                     ``index.html`` and PNG images
==============================  ===============================================================================

The last file that a stage writes is its *result*; a stage is done when that file is there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from sqlalchemy import URL

from nas.config import Config, comparable, dump_yaml, load_config
from nas.errors import NasError
from nas.files import read_json, reading, write_text
from nas.lock import exclusive

STAGES = ("train", "profile", "fit", "search", "confirm", "export", "report")
"""The stages of a run, in order."""

_RESULTS = {
    "train": "train/result.json",
    "profile": "profile/measurements.json",
    "fit": "predictors/scores.json",
    "search": "search/front.json",
    "confirm": "confirm/front.json",
    "export": "export/index.json",
    "report": "report/index.html",
}


_DECIDES = {
    "train": ("seed", "threads", "space", "data", "split", "train"),
    "profile": ("targets", "devices", "measure", "profile", "ledger"),
    "fit": ("predictor",),
    "search": ("search", "objectives", "limits", "boards", "fleet"),
    "confirm": ("confirm",),
    "export": ("export",),
}
"""Sections of the config by the first stage that they decide on; who shares the work (``workers``, ``evaluators``,
``pools``) decides nothing."""

_NEEDED = {
    "train": ("train/weights.safetensors",),
    "fit": ("predictors/*/predictor.json", "predictors/*/predictor.safetensors"),
}
"""Files that later stages need beside the result of one; an asterisk stands for every target."""

_TRACES = {
    "train": ("train", "split.json", "preprocessing.json"),
    "profile": ("profile",),
    "fit": ("predictors/scores.json",),
    "search": ("search",),
    "confirm": ("confirm",),
    "export": ("export",),
}
"""What a stage leaves behind as soon as it has begun."""

_DERIVED = ("split.json", "preprocessing.json")
"""Traces that nothing was made from where they are the only ones; they are made again."""


class RunDirectory:
    """An existing run directory.

    Args:
        path: the directory.
        data: where the images are now, if they moved since the run was created.

    Raises:
        NasError: there is no run in the directory, or its config cannot be read.
    """

    def __init__(self, path: Path, *, data: Path | None = None) -> None:
        if not (path / "config.yaml").is_file():
            raise NasError(f"{path} is no run directory (it has no config.yaml); make it with `nas init CONFIG {path}`")
        self.path = path
        self._data = data

    @classmethod
    def create(cls, path: Path, config: Config) -> RunDirectory:
        """Make a run directory, or open the one that is there.

        The config of a run may change in what decides only on stages that have not begun.

        Raises:
            NasError: the directory's name is no text, or it holds files that are no run, or results that another
                config led to; nothing was changed then.
        """
        try:
            str(path.resolve()).encode()
        except UnicodeEncodeError as error:
            raise NasError(f"{path} is no UTF-8 text, which databases need; give another directory") from error
        if (path / "config.yaml").is_file():
            run = cls(path, data=config.data.path)
            if "threads" not in config.model_fields_set:  # nobody asked for as many as this machine has
                config = config.model_copy(update={"threads": run.config.threads})
            changed = _differences(comparable(run.config), comparable(config))
            if not changed:
                return run
            outdated = run._outdated(changed)
            if not {path / name for name in _DERIVED}.issuperset(outdated):
                raise NasError(_refusal(path, changed, outdated))
            with run.locked():
                for trace in outdated:
                    trace.unlink(missing_ok=True)
                write_text(path / "config.yaml", dump_yaml(config))
            return cls(path, data=config.data.path)
        if path.exists() and (not path.is_dir() or any(not _is_ours(entry) for entry in path.iterdir())):
            raise NasError(f"{path} exists and is no run directory; nothing was changed. Give another directory")
        path.mkdir(parents=True, exist_ok=True)
        write_text(path / "config.yaml", dump_yaml(config))
        return cls(path, data=config.data.path)

    @cached_property
    def config(self) -> Config:
        """The run's config."""
        return load_config(self.path / "config.yaml", data=self._data)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep every other process from working on this run; released even if this process is killed."""
        with exclusive(self.path / ".lock"):
            yield

    def result(self, stage: str) -> Path:
        """The file that a stage writes last."""
        return self.path / _RESULTS[stage]

    def is_done(self, stage: str) -> bool:
        """Whether a stage has finished, and what later ones need of it is still there.

        Raises:
            NasError: the list of the exported networks is damaged.
        """
        if not self.result(stage).is_file():
            return False
        return all(path.is_file() for path in self._needed(stage))

    def _needed(self, stage: str) -> list[Path]:
        """What a stage leaves for later ones beside its result."""
        if stage == "export":
            return list(self.cards().values())
        patterns = _NEEDED.get(stage, ())
        names = {pattern.replace("*", target.name) for pattern in patterns for target in self.config.targets}
        return [self.path / name for name in names]

    def cards(self) -> dict[str, Path]:
        """The card of each exported network by its name.

        Raises:
            NasError: their list is missing or damaged.
        """
        listed = self.result("export")
        with reading(listed):
            members = read_json(listed)["members"]
            if not isinstance(members, list):
                raise TypeError(f"members is {members!r}")
            return {name: self.path / "export" / name / "card.json" for name in members}

    def require(self, stage: str, *, needed_by: str) -> None:
        """Check that an earlier stage has finished.

        Raises:
            NasError: it has not; the message names the command to run.
        """
        if not self.is_done(stage):
            raise NasError(f"`nas {needed_by}` needs what `nas {stage}` makes; run `nas {stage} {self.path}` first")

    def _outdated(self, changed: Mapping[str, str]) -> list[Path]:
        """What was made under values that have changed."""
        sections = {place.split(".")[0] for place in changed}
        first = next((stage for stage, decided in _DECIDES.items() if sections & set(decided)), None)
        if first is None:
            return []
        later = [stage for stage in _TRACES if STAGES.index(stage) >= STAGES.index(first)]
        traces = [self.path / name for stage in later for name in _TRACES[stage]]
        return [trace for trace in traces if trace.exists()]

    @property
    def ledger_url(self) -> str | URL:
        """Database of the measurements made in this run."""
        # Not as text: a question mark in the path would begin the URL's query.
        own = URL.create("sqlite", database=str((self.path / "ledger.sqlite").resolve()))
        return self.config.ledger or own


def _is_ours(entry: Path) -> bool:
    """Whether a file was left by a run that was killed while it was being created."""
    return entry.name in (".lock", ".config.yaml.tmp")


def _differences(old: Any, new: Any, place: str = "") -> dict[str, str]:  # noqa: ANN401 (any JSON value)
    """By its place in the config, a sentence about every value that differs."""
    if isinstance(old, dict) and isinstance(new, dict):
        missing = object()
        found: dict[str, str] = {}
        for key in [*old, *(key for key in new if key not in old)]:
            if old.get(key, missing) != new.get(key, missing):
                found |= _differences(old.get(key), new.get(key), f"{place}.{key}" if place else key)
        return found
    if _is_of_sections(old) and _is_of_sections(new):
        return _differences(dict(enumerate(old)), dict(enumerate(new)), place)
    given = "it was left out" if new is None else f"{_told(new)} was given"
    return {place: f"{place} is {_told(old)} in the run, {given}"}


def _is_of_sections(value: Any) -> bool:  # noqa: ANN401 (any JSON value)
    return isinstance(value, list) and any(isinstance(item, dict) for item in value)


def _told(value: Any) -> str:  # noqa: ANN401 (any JSON value)
    """A value of a config as its file could hold it."""
    if value is None:
        return "left out"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else repr(value)


def _refusal(path: Path, changed: Mapping[str, str], outdated: Sequence[Path]) -> str:
    lines = "\n".join(f"  - {line}" for line in changed.values())
    return (
        f"{path} holds results of another config:\n{lines}\nNothing was changed. Start a new run in another "
        f"directory; or give up what these values led to, by deleting {', '.join(map(str, outdated))}, and run again; "
        f"or go on as it was: `nas run {path / 'config.yaml'} --run-dir {path}`"
    )


def default_run_directory(config_path: Path) -> Path:
    """Where a config's run goes when no directory is named: ``runs/<name of the config file>``."""
    return Path("runs") / config_path.stem
