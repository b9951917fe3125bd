"""What a sweep's file may say, and which trials are the same search."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from nas.config import Config, make_config
from nas.errors import NasError
from nas.files import write_json
from nas.objective import Limit
from nas.pipeline import prepare
from nas.progress import Silent
from nas.stages.context import Context
from nas.sweep import SweepSection, Trial, load_sweep, make_trials
from supernet import weights_digest


def config(**search: object) -> Config:
    return make_config(
        {
            "threads": 1,
            "space": {"name": "mobilenetv3_32"},
            "data": {"source": "digits"},
            "targets": [{"name": "chip", "device": "fake"}],
            "boards": [{"name": "mine", "flash_bytes": 4_000_000, "sram_bytes": 1_000_000}],
            "limits": [{"metric": "macs", "at_most": 5e7}],
            "search": {"options": {"population": 8}, "evaluations": 30, "batch": 10, **search},
        }
    )


def context_of(path: Path, made: Config, weights: str = "a") -> Context:
    """A run as far as sweeps look at it."""
    run = prepare(made, path)
    run.result("train").parent.mkdir()
    (path / "train" / "weights.safetensors").write_text(weights)
    write_json(run.result("train"), {"weights_sha256": weights_digest(path / "train")})
    write_json(run.result("fit"), {"targets": {}})
    write_json(path / "split.json", {})
    return Context(run, Silent())


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return context_of(tmp_path / "run", config())


def trials(context: Context, **sweep: object) -> list[Trial]:
    return make_trials(context, SweepSection.model_validate({"seeds": [0], **sweep}), "sweep.yaml")


def test_every_strategy_meets_all_limits_with_every_seed(context: Context) -> None:
    found = trials(
        context,
        seeds=[3, 4],
        strategies={"mine": {}, "chance": {"strategy": "random"}},
        limits={"none": [], "macs": [{"metric": "macs", "at_most": 1e7}]},
        evaluations=20,
    )
    assert [trial.label for trial in found][:3] == ["mine, none, seed 3", "mine, none, seed 4", "mine, macs, seed 3"]
    assert len({trial.key for trial in found}) == len(found) == 8
    mine, chance = found[0].config, found[-1].config
    assert (mine.search.strategy, mine.search.options, mine.search.evaluations) == ("nsga2", {"population": 8}, 20)
    # Options belong to a strategy: NSGA-II's population is nothing to a random search.
    assert (chance.search.strategy, chance.search.options, chance.search.batch) == ("random", {}, 10)
    assert Limit("macs", at_most=1e7) in chance.limits
    assert {limit.metric for limit in mine.limits} == {"flash_bytes", "peak_activation_bytes"}
    assert mine.seed == context.config.seed


def test_left_out_strategies_and_limits_are_the_runs_own(context: Context) -> None:
    (only,) = trials(context)
    assert (only.strategy, only.limits) == ("own", "own")
    assert set(only.config.limits) == set(context.config.limits)
    assert only.config.search == context.config.search


def test_a_trial_is_known_by_what_it_is_and_not_by_its_name(context: Context, tmp_path: Path) -> None:
    (own,) = trials(context)
    assert [trial.key for trial in trials(context, strategies={"another": {"batch": 10}})] == [own.key]
    changed = [
        trials(context, seeds=[1]),
        trials(context, evaluations=31),
        trials(context, strategies={"x": {"batch": 11}}),
        trials(context, limits={"x": []}),
        trials(context_of(tmp_path / "other", config(), weights="b")),
        trials(context_of(tmp_path / "judged", config(validation_images=10))),
    ]
    assert len({trial.key for found in changed for trial in found} | {own.key}) == 7


def test_a_runs_study_in_a_storage_is_left_alone(tmp_path: Path) -> None:
    stored = {"storage": f"sqlite:///{tmp_path / 'study.sqlite'}", "study": "a", "shared": True}
    options = {**stored, "sampler": "random"}
    context = context_of(tmp_path / "run", config(strategy="optuna", options=options))
    assert [trial.config.search.options for trial in trials(context)] == [{"sampler": "random"}]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "'seeds' is missing"),
        ({"seeds": []}, "seeds"),
        ({"seeds": [True]}, "seeds"),
        ({"seeds": [1, 1]}, "seed 1 is given twice"),
        ({"seeds": [0], "stategies": {}}, "did you mean 'strategies'"),
        ({"seeds": [0], "strategies": {}}, "strategies"),
        ({"seeds": [0], "strategies": {"a": {"threads": 2}}}, "strategy 'a' gives threads"),
        ({"seeds": [0], "strategies": {"a": {"options": {"study": "b"}}}}, "strategy 'a' gives study"),
        ({"seeds": [0], "limits": {"a": [{"metric": "macs"}]}}, "give a finite at_most"),
        ({"seeds": [0], "evaluations": 0}, "evaluations"),
        ({"seeds": [0], "threads": True}, "threads"),
        ([], "must hold sections"),
    ],
)
def test_a_file_that_is_no_sweep_is_told(content: Any, message: str, tmp_path: Path) -> None:
    path = tmp_path / "sweep.yaml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(NasError, match=message) as told:
        load_sweep(path)
    assert str(path) in str(told.value)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(NasError, match=r"none\.yaml cannot be read .* give a YAML file with seeds"):
        load_sweep(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("sweep", "message"),
    [
        ({"strategies": {"a": {"strategy": "nsga3"}}}, "strategy 'a' under limits 'own'.* did you mean 'nsga2'"),
        ({"strategies": {"a": {"options": {"popsize": 3}}}}, "strategy 'a' under limits 'own'.*popsize"),
        ({"strategies": {"a": {"bach": 3}}}, "did you mean 'search.batch'|did you mean 'batch'"),
        ({"limits": {"b": [{"metric": "mcas", "at_most": 3}]}}, "mcas"),
    ],
)
def test_what_the_run_cannot_have_is_told_before_anything_is_searched(
    sweep: dict[str, object], message: str, context: Context
) -> None:
    with pytest.raises(NasError, match=message):
        trials(context, **sweep)
