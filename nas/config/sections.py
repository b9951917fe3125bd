"""What a run can be told: every section of its config, with types, defaults and checks."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from devices import MOST_THREADS, Format, MeasureSettings, Precision, device_names
from latency_predictors import MINIMUM_CHECKED, predictor_names
from nas.candidate import ACCURACY, latency_metric, metric_names
from nas.config.errors import nearest
from nas.objective import Limit, Objective, Problem
from nas.search import searcher_names
from search_spaces import SearchSpace, get_space
from supernet import TrainSettings
from supernet.data import DataSettings, Source


def _file_name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", value):
        raise ValueError(f"{value!r} names a folder; use letters, digits, '-' and '_', at most 64 of them")
    return value


def _usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Section(BaseModel):
    """Base of every section: immutable; keys that are not known are refused, and so are NaN and infinity."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class SpaceSection(Section):
    """Which search space (`nas spaces` lists them), and its options, such as ``classes`` or ``resolutions``."""

    name: str
    options: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _exists(self) -> SpaceSection:
        get_space(self.name, self.options)
        return self


class SplitSection(Section):
    """Shares of the images kept for validation and test, and how many training images calibrate norms and INT8."""

    validation: float = Field(0.2, gt=0, lt=1)
    test: float = Field(0.2, gt=0, lt=1)
    calibration: int = Field(256, gt=0)

    @model_validator(mode="after")
    def _leaves_training_images(self) -> SplitSection:
        if self.validation + self.test >= 1:
            raise ValueError(f"validation {self.validation} and test {self.test} leave nothing to train on")
        return self


class TargetSection(Section):
    """One device to be fast on, and what of each network is run there.

    Attributes:
        name: the target's name in metrics (``latency_s.<name>``), reports and folders.
        device: one of `nas devices list`.
        format: model file the device runs; its first one if left out.
        threads: inference threads; those of ``measure`` if left out.
    """

    name: Annotated[str, AfterValidator(_file_name)]
    device: str
    precision: Precision = "int8"
    format: Format | None = None
    threads: int | None = Field(None, ge=1, le=MOST_THREADS)
    options: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _device_exists(self) -> TargetSection:
        if self.device not in device_names():
            raise ValueError(f"there is no device {self.device!r}{nearest(self.device, device_names())}")
        return self


class ProfileSection(Section):
    """How many networks are measured on every target for its predictor to learn from."""

    networks: int = Field(40, ge=MINIMUM_CHECKED, le=10_000)


class PredictorSection(Section):
    """Which latency predictors compete, and how good the best must be on networks it has not seen.

    Attributes:
        names: predictors to try for each target; the best on held-out networks is used.
        folds: parts of the cross-validation, at most as many as networks are profiled.
        min_spearman: rank correlation below which a predictor is not used.
        max_mape: mean absolute error, as a share of the measured latency, above which it is not used.
        on_failure: ``error`` stops the run; ``measure`` measures every candidate of the search instead.
        fleet: file of known devices (``nas fleet FILE RUN_DIR``) that ``few_shot`` starts from; none if left out.
    """

    names: tuple[str, ...] = Field(default_factory=lambda: tuple(predictor_names()), min_length=1)
    folds: int = Field(5, ge=2)
    min_spearman: float = Field(0.8, ge=-1, le=1)
    max_mape: float = Field(0.3, gt=0)
    on_failure: Literal["error", "measure"] = "error"
    fleet: str | None = None

    @model_validator(mode="after")
    def _exist(self) -> PredictorSection:
        for name in self.names:
            if name not in predictor_names():
                raise ValueError(f"there is no predictor {name!r}{nearest(name, predictor_names())}")
        return self


class SearchSection(Section):
    """How candidates are proposed and judged.

    Attributes:
        strategy: one of the registered searchers; ``options`` are its own.
        evaluations: candidates to judge.
        batch: candidates asked for and judged together; the search can be resumed after each batch.
        validation_images: how many validation images judge the accuracy of a candidate; all if left out.
    """

    strategy: str = "nsga2"
    options: dict[str, Any] = Field(default_factory=dict)
    evaluations: int = Field(200, ge=1)
    batch: int = Field(20, ge=1)
    validation_images: int | None = Field(None, ge=1)

    @model_validator(mode="after")
    def _exists(self) -> SearchSection:
        if self.strategy not in searcher_names():
            raise ValueError(f"there is no strategy {self.strategy!r}{nearest(self.strategy, searcher_names())}")
        return self


class ConfirmSection(Section):
    """How many members of the searched front are built, measured and judged as files; evenly spread if not all."""

    members: int | None = Field(None, ge=1)


class ExportSection(Section):
    """How many members of the confirmed front are exported; evenly spread if not all."""

    count: int | None = Field(None, ge=1)


class Config(Section):
    """A whole run.

    Attributes:
        seed: everything random follows from it.
        threads: threads of training and evaluation; as many as there are cores to use if left out.
        objectives: what to improve; accuracy and the latency on every target if left out.
        limits: what every network of the front must meet.
        ledger: SQLAlchemy URL of the database of measurements, to share one between runs; the run's own SQLite file if
            left out. It is written to ``config.yaml``: leave the password to the driver (``PGPASSWORD``, ``.pgpass``).
    """

    seed: int = Field(0, ge=0, lt=2**63)
    threads: int = Field(default_factory=_usable_cores, ge=1, le=MOST_THREADS)
    space: SpaceSection
    data: DataSettings
    split: SplitSection = SplitSection()
    train: TrainSettings = TrainSettings()
    targets: tuple[TargetSection, ...] = Field(min_length=1)
    measure: MeasureSettings = MeasureSettings()
    profile: ProfileSection = ProfileSection()
    predictor: PredictorSection = PredictorSection()
    search: SearchSection = SearchSection()
    objectives: tuple[Objective, ...] = ()
    limits: tuple[Limit, ...] = ()
    confirm: ConfirmSection = ConfirmSection()
    export: ExportSection = ExportSection()
    ledger: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _has_images(cls, given: Any) -> Any:  # noqa: ANN401 (whatever the file holds)
        data = given.get("data") if isinstance(given, dict) else None
        source = data.get("source") if isinstance(data, dict) else None
        if data is not None and source in get_args(Source) and source != "digits" and not data.get("path"):
            raise ValueError(f"the place of the {source!r} images is missing; give it with --data PATH")
        return given

    @model_validator(mode="before")
    @classmethod
    def _default_objectives(cls, given: Any) -> Any:  # noqa: ANN401 (whatever the file holds)
        if isinstance(given, dict) and not given.get("objectives"):
            targets = given.get("targets")
            names = [t.get("name") for t in targets if isinstance(t, dict)] if isinstance(targets, list | tuple) else []
            latencies = [{"metric": latency_metric(str(name)), "direction": "minimize"} for name in names]
            return given | {"objectives": [{"metric": ACCURACY, "direction": "maximize"}, *latencies]}
        return given

    @model_validator(mode="after")
    def _consistent(self) -> Config:
        for name, value, default in (("seed", self.train.seed, 0), ("threads", self.train.threads, 0)):
            whole = getattr(self, name)
            if value not in (default, whole):
                raise ValueError(f"train.{name} is {value} and {name} {whole}; give {name} only, it is the whole run's")
        if self.predictor.folds > self.profile.networks:
            raise ValueError(
                f"predictor.folds is {self.predictor.folds} and profile.networks {self.profile.networks}: each fold "
                f"holds out a network; give at most {self.profile.networks} folds, or profile more networks"
            )
        names = [target.name for target in self.targets]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two targets are named {name!r}; give each its own name")
        known = metric_names(names)
        for metric in [o.metric for o in self.objectives] + [limit.metric for limit in self.limits]:
            if metric not in known:
                raise ValueError(f"there is no metric {metric!r}{nearest(metric, known)}")
        for limit in self.limits:
            if limit.at_most is not None and limit.at_most <= 0:
                raise ValueError(f"the limit {limit.metric} at_most {limit.at_most} can be met by no network")
            if limit.metric == ACCURACY and limit.at_least is not None and limit.at_least > 1:
                raise ValueError(f"the limit accuracy at_least {limit.at_least} can be met by no network: 1 is perfect")
        return self

    def make_space(self) -> SearchSpace:
        """The search space of this run."""
        return get_space(self.space.name, self.space.options)

    @property
    def deployed_bits(self) -> int:
        """Bits of weights and activations that flash and memory are counted with: those of the widest target."""
        return max(8 if target.precision == "int8" else 32 for target in self.targets)

    @property
    def train_settings(self) -> TrainSettings:
        """How the supernet is trained, with the run's seed and threads."""
        return replace(self.train, seed=self.seed, threads=self.threads)

    @property
    def problem(self) -> Problem:
        """Objectives and limits together."""
        return Problem(self.objectives, self.limits)
