"""What a run can be told: every section of its config, with types, defaults and checks."""

from __future__ import annotations

import os
from dataclasses import asdict, replace
from typing import Any, Literal, get_args

from pydantic import Field, field_validator, model_validator

import nas.torch_devices  # noqa: F401 (registers them: targets may name them)
from devices import (
    BOARDS,
    MOST_THREADS,
    Board,
    MeasureSettings,
    device_names,
    get_board,
)
from devices.paths import user_path
from latency_predictors import MINIMUM_CHECKED, predictor_names
from nas.candidate import ACCURACY, latency_metric, metric_names
from nas.config.late import ConfirmSection, ExportSection, FleetSection, check_fleet
from nas.config.ledger_url import LedgerUrl
from nas.config.pools import PoolSection, UnitSection, check_pools
from nas.config.section import Section
from nas.config.targets import DeviceSection, TargetSection, check_device_options
from nas.objective import Limit, Objective, Problem
from nas.search import check_searcher_options, searcher_names
from search_spaces import SearchSpace, get_space
from search_spaces.nearest import nearest
from supernet import TrainSettings
from supernet.data import DataSettings, Source

MOST_WORKERS = 1024
"""More processes than share one batch, or one search: such a number was not meant."""


def _usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _whole_board(given: Any) -> Any:  # noqa: ANN401 (whatever the file holds)
    """A board with its budgets, where it was given by a name that is known."""
    if isinstance(given, str):
        return asdict(get_board(given))
    if isinstance(given, dict) and isinstance(given.get("name"), str) and given["name"] in BOARDS:
        return {**asdict(BOARDS[given["name"]]), **given}
    return given


def _is_size(value: Any) -> bool:  # noqa: ANN401
    return isinstance(value, int) and not isinstance(value, bool)


class SpaceSection(Section):
    """Which search space, and its options.

    Attributes:
        name: one of `nas spaces`, or ``module:factory`` for one of the user's own.
        options: settings of the space, such as ``classes`` or ``resolutions``.
    """

    name: str
    options: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _exists(self) -> SpaceSection:
        get_space(self.name, self.options)
        return self


class SplitSection(Section):
    """Which images are for what; the split is drawn class by class.

    Attributes:
        validation: share of the images that compare networks in the search and on the front.
        test: share of the images by which nothing is chosen.
        calibration: how many training images batch-norm statistics and INT8 ranges are made with; no more than there
            are.
    """

    validation: float = Field(0.2, gt=0, lt=1)
    test: float = Field(0.2, gt=0, lt=1)
    calibration: int = Field(256, gt=0)

    @model_validator(mode="after")
    def _leaves_training_images(self) -> SplitSection:
        if self.validation + self.test >= 1:
            raise ValueError(f"validation {self.validation} and test {self.test} leave nothing to train on")
        return self


class ProfileSection(Section):
    """How many networks are measured on every target for its predictor to learn from.

    Attributes:
        networks: how many.
        passes: visits that every measurement of a run is divided into, in orders of their own; that they agree is what
            a single pass cannot show.
    """

    networks: int = Field(40, ge=MINIMUM_CHECKED, le=10_000)
    passes: int = Field(2, ge=1, le=10)


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

    @field_validator("fleet")
    @classmethod
    def _at_home(cls, fleet: str | None) -> str | None:
        return fleet and str(user_path(fleet))

    @model_validator(mode="after")
    def _exist(self) -> PredictorSection:
        for name in self.names:
            if name not in predictor_names():
                raise ValueError(f"there is no predictor {name!r}{nearest(name, predictor_names())}")
        return self


class SearchSection(Section):
    """How candidates are proposed and judged.

    Attributes:
        strategy: which searcher proposes them.
        options: settings of the strategy.
        evaluations: candidates to judge; those whose accuracy is only predicted do not count.
        batch: candidates asked for and judged together; the search can be resumed after each batch.
        accuracy: ``supernet`` evaluates every candidate; ``predicted`` learns from those evaluated so far, searches by
            predicted accuracy, and evaluates what that finds.
        screened: with predicted accuracy, candidates that are predicted for each that is evaluated.
        min_kendall: rank correlation on held-out networks below which predicted accuracies are not used.
        validation_images: how many validation images judge the accuracy of a candidate; all if left out.
        threads: threads that evaluate one candidate; the run's if left out. Accuracies depend on them, by an image or
            so: sums are added up in another order.
    """

    strategy: str = "nsga2"
    options: dict[str, Any] = Field(default_factory=dict)
    evaluations: int = Field(200, ge=1)
    batch: int = Field(20, ge=1)
    accuracy: Literal["supernet", "predicted"] = "supernet"
    screened: int = Field(20, ge=2, le=10_000)
    min_kendall: float = Field(0.5, ge=-1, le=1)
    validation_images: int | None = Field(None, ge=1)
    threads: int | None = Field(None, ge=1, le=MOST_THREADS)

    @model_validator(mode="after")
    def _exists(self) -> SearchSection:
        if self.accuracy == "predicted" and "storage" in self.options:
            raise ValueError("a study in a storage holds found results only; leave out storage, or accuracy: predicted")
        if self.strategy not in searcher_names():
            raise ValueError(f"there is no strategy {self.strategy!r}{nearest(self.strategy, searcher_names())}")
        check_searcher_options(self.strategy, self.options)
        return self


class Config(Section):
    """A whole run.

    Attributes:
        seed: everything random follows from it.
        threads: threads of training and evaluation; as many as there are cores to use if left out.
        workers: processes that train together through Ray Train, on this machine or a cluster; each has its share of
            ``threads``, or a GPU. 1 trains in this process, without Ray.
        evaluators: processes that evaluate candidates of the search, each with ``search.threads`` or a GPU; on this
            machine or a Ray cluster. What they find does not depend on how many they are. 1 evaluates in this process,
            without Ray.
        devices: devices of the user's own that targets name; or the path of a file that defines them. Where neither is
            given, ``devices.yaml`` in the working directory or in ``~/.config/hwnas`` defines them.
        pools: equal devices that share the measuring of one, leased through a Ray cluster. Which they are decides on
            nothing but the time it takes.
        boards: microcontrollers that every network must fit on: names of `nas devices list`, or budgets of one's own.
            Each adds its limits on ``flash_bytes`` and ``peak_activation_bytes``.
        objectives: what to improve; accuracy and the latency on every target if left out.
        limits: what every network of the front must meet.
        fleet: single networks for all targets, and those for each; left out, only what all targets want is searched.
        ledger: SQLAlchemy URL of the database of measurements, to share one between runs; the run's own SQLite file if
            left out. The path of a file is kept in full. It is written to ``config.yaml``: leave the password to the
            driver (``PGPASSWORD``, ``.pgpass``).
    """

    seed: int = Field(0, ge=0, lt=2**63)
    threads: int = Field(default_factory=_usable_cores, ge=1, le=MOST_THREADS)
    workers: int = Field(1, ge=1, le=MOST_WORKERS)
    evaluators: int = Field(1, ge=1, le=MOST_WORKERS)
    space: SpaceSection
    data: DataSettings
    split: SplitSection = SplitSection()
    train: TrainSettings = TrainSettings()
    targets: tuple[TargetSection, ...] = Field(min_length=1)
    devices: tuple[DeviceSection, ...] = ()
    pools: tuple[PoolSection, ...] = ()
    boards: tuple[Board, ...] = ()
    measure: MeasureSettings = MeasureSettings()
    profile: ProfileSection = ProfileSection()
    predictor: PredictorSection = PredictorSection()
    search: SearchSection = SearchSection()
    objectives: tuple[Objective, ...] = ()
    limits: tuple[Limit, ...] = ()
    fleet: FleetSection | None = None
    confirm: ConfirmSection = ConfirmSection()
    export: ExportSection = ExportSection()
    ledger: LedgerUrl | None = None

    @model_validator(mode="before")
    @classmethod
    def _has_images(cls, given: Any) -> Any:  # noqa: ANN401 (whatever the file holds)
        data = given.get("data") if isinstance(given, dict) else None
        source = data.get("source") if isinstance(data, dict) else None
        if data is not None and source in get_args(Source) and source != "digits" and not data.get("path"):
            raise ValueError(f"the place of the {source!r} images is missing; give data.path or --data PATH")
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

    @model_validator(mode="before")
    @classmethod
    def _limits_of_boards(cls, given: Any) -> Any:  # noqa: ANN401 (whatever the file holds)
        if not isinstance(given, dict) or not isinstance(given.get("boards"), list | tuple):
            return given
        boards = [_whole_board(board) for board in given["boards"]]
        limits = list(given["limits"]) if isinstance(given.get("limits"), list | tuple) else []
        known = [limit for limit in limits if isinstance(limit, dict)]
        for metric, budget in (("flash_bytes", "flash_bytes"), ("peak_activation_bytes", "sram_bytes")):
            sizes = [board[budget] for board in boards if isinstance(board, dict) and _is_size(board.get(budget))]
            if sizes and not any(
                limit.get("metric") == metric and limit.get("at_most") == min(sizes) for limit in known
            ):
                limits.append({"metric": metric, "at_most": min(sizes)})
        return given | {"boards": boards, "limits": limits}

    @model_validator(mode="after")
    def _devices_exist(self) -> Config:
        own = [device.name for device in self.devices]
        for name in own:
            if own.count(name) > 1:
                raise ValueError(f"two devices are named {name!r}; give each its own name")
        for target in self.targets:
            if target.device not in (allowed := [*device_names(), *own]):
                raise ValueError(
                    f"target {target.name!r}: there is no device {target.device!r}{nearest(target.device, allowed)}. "
                    "A devices.yaml can define others (`nas devices list` tells where it is looked for)"
                )
        check_pools(self.pools, [target.device for target in self.targets])
        return self

    @model_validator(mode="after")
    def _options_exist(self) -> Config:
        for number, target in enumerate(self.targets):
            backend, _ = self.device_of(target)
            check_device_options(f"targets.{number}.options", backend, target.options)
            for unit in self.units_of(target):
                check_device_options(f"unit {unit.name!r}: options", backend, unit.options)
        return self

    @model_validator(mode="after")
    def _boards_are_counted_right(self) -> Config:
        for target in self.targets:
            if self.boards and target.precision == "float32":
                raise ValueError(
                    f"target {target.name!r} is {target.precision} and boards are counted at int8; give it precision "
                    "int8, or leave boards out"
                )
        return self

    @model_validator(mode="after")
    def _consistent(self) -> Config:
        for name, value, default in (("seed", self.train.seed, 0), ("threads", self.train.threads, 0)):
            whole = getattr(self, name)
            if value not in (default, whole):
                raise ValueError(f"train.{name} is {value} and {name} {whole}; give {name} only, it is the whole run's")
        if self.train.batch_size % self.workers:
            raise ValueError(
                f"train.batch_size {self.train.batch_size} cannot be shared evenly by {self.workers} workers; give a "
                f"multiple, such as {-(-self.train.batch_size // self.workers) * self.workers}"
            )
        if self.predictor.folds > self.profile.networks:
            raise ValueError(
                f"predictor.folds is {self.predictor.folds} and profile.networks {self.profile.networks}: each fold "
                f"holds out a network; give at most {self.profile.networks} folds, or profile more networks"
            )
        if self.measure.visit:
            raise ValueError(f"measure.visit is {self.measure.visit}; leave it out, a run numbers its visits itself")
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

    @model_validator(mode="after")
    def _fleet_has_targets(self) -> Config:
        if self.fleet is None:
            return self
        check_fleet(self.fleet, [target.name for target in self.targets], self.problem)
        return self

    def make_space(self) -> SearchSpace:
        """The search space of this run."""
        return get_space(self.space.name, self.space.options)

    def device_of(self, target: TargetSection) -> tuple[str, dict[str, Any]]:
        """Backend and options of a target's device."""
        own = next((device for device in self.devices if device.name == target.device), None)
        if own is None:
            return target.device, target.options
        return own.backend, {**own.options, **target.options}

    def units_of(self, target: TargetSection) -> tuple[UnitSection, ...]:
        """The units that share a target's measuring; none where its device is no pool."""
        return next((pool.units for pool in self.pools if pool.device == target.device), ())

    @property
    def deployed_bits(self) -> int:
        """Bits of weights and activations that flash and memory are counted with: those of the widest target."""
        return max(32 if target.precision == "float32" else 8 for target in self.targets)

    @property
    def evaluation_threads(self) -> int:
        """Threads that evaluate one candidate."""
        return self.search.threads or self.threads

    @property
    def train_settings(self) -> TrainSettings:
        """How the supernet is trained, with the run's seed and threads."""
        return replace(self.train, seed=self.seed, threads=self.threads)

    @property
    def fleet_weights(self) -> dict[str, float]:
        """What the latency on each target of the fleet counts for; empty where there is no fleet."""
        if self.fleet is None:
            return {}
        return self.fleet.weights or {target.name: 1.0 for target in self.targets}

    @property
    def problem(self) -> Problem:
        """Objectives and limits together."""
        return Problem(self.objectives, self.limits)
