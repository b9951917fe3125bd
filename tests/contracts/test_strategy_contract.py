"""What every training strategy keeps to; a new one is tested by being registered."""

from __future__ import annotations

import json
import runpy
from collections.abc import Mapping
from dataclasses import FrozenInstanceError, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from search_spaces import Architecture, Condition, Decision, Network, NetworkBuilder, SearchSpace, macs
from supernet import (
    SupernetError,
    TrainData,
    TrainProgress,
    TrainSettings,
    describe_strategy,
    strategy_names,
    train,
    training_macs,
)
from supernet.compute import plan_macs
from supernet.data import ImageData, make_split, measure_preprocessing
from supernet.strategies import FreezeTeacher, Plan, Run, SortChannels, Strategy, get_strategy, strategy_of

VARIANTS: dict[str, tuple[str, Mapping[str, Any]]] = {
    **{name: (name, {}) for name in strategy_names()},
    "attentive-worst": ("attentive", {"pick": "worst", "candidates": 2, "bins": 2}),
    "deps-early": ("deps", {"start": 0.25, "ramp_epochs": 1.0}),
    "sandwich-dropout": ("sandwich", {"dropout": 0.2}),
}


class MiniSpace(SearchSpace):
    """One elastic block with squeeze-and-excite, another that may be left out, two resolutions."""

    name = "mini"
    decisions = (
        Decision("resolution", (6, 8)),
        Decision("kernel", (3, 5)),
        Decision("expansion", (2, 3, 4)),
        Decision("depth", (1, 2)),
        Decision("last.expansion", (2, 4), Condition("depth", frozenset({1}))),
    )

    def lower(self, arch: Architecture) -> Network:
        self.validate(arch)
        resolution, kernel, expansion, depth, last = (
            int(decision.options[choice]) for decision, choice in zip(self.decisions, arch.choices, strict=True)
        )
        builder = NetworkBuilder((3, resolution, resolution))
        with builder.block("stem"):
            x = builder.conv("conv", builder.input, 4, 3, stride=2)
        for block in range(depth):
            with builder.block(f"blocks.{block}"):
                wide = 4 * (last if block else expansion)
                y = builder.activation("relu", builder.conv("expand", x, wide), "relu")
                y = builder.depthwise("depthwise", y, kernel)
                gate = builder.conv("reduce", builder.global_pool("pool", y), wide // 4, norm=False, bias=True)
                gate = builder.conv("restore", builder.activation("act", gate, "relu"), wide, norm=False, bias=True)
                y = builder.mul("scale", y, builder.activation("gate", gate, "hard_sigmoid"))
                x = builder.add("residual", builder.conv("project", y, 4), x)
        with builder.block("head"):
            builder.linear("classifier", builder.flatten("flatten", builder.global_pool("pool", x)), 3)
        return builder.build()


SPACE = MiniSpace()


@pytest.fixture(scope="module")
def data() -> TrainData:
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), 20)
    images = rng.integers(0, 120, (60, 8, 8, 3))
    images[np.arange(60), :, :, labels] += 135
    found = ImageData(images.astype(np.uint8), labels.astype(np.int64), ("red", "green", "blue"))
    split = make_split(found.labels, validation=0.2, test=0.0, calibration=12)
    return TrainData(found, split, measure_preprocessing(found.images, split.train))


@pytest.fixture(params=sorted(VARIANTS))
def settings(request: pytest.FixtureRequest) -> TrainSettings:
    name, options = VARIANTS[request.param]
    return TrainSettings(
        strategy=name,
        options=options,
        epochs=6,
        batch_size=8,
        learning_rate=0.1,
        warmup_epochs=0.5,
        crop_padding=1,
        threads=1,
        precision="float32",
        ema_decay=0.9,
        evaluate_every=6,
    )


def plans(settings: TrainSettings, steps_per_epoch: int = 6) -> list[Plan]:
    run, strategy = Run(SPACE, settings, steps_per_epoch), strategy_of(settings)
    return [strategy.plan(run, step) for step in range(run.total_steps)]


def test_described_frozen_and_made_again_from_its_options(settings: TrainSettings) -> None:
    strategy: Strategy = strategy_of(settings)
    assert len(describe_strategy(settings.strategy)) > 20
    options = {field.name: getattr(strategy, field.name) for field in fields(strategy)}  # type: ignore[arg-type]
    assert get_strategy(settings.strategy, json.loads(json.dumps(options))) == strategy
    with pytest.raises((FrozenInstanceError, TypeError)):
        strategy.dropout = 0.5  # type: ignore[attr-defined]


def test_plans_are_a_function_of_the_step_and_the_seed(settings: TrainSettings) -> None:
    run = Run(SPACE, settings, 6)
    ahead = [strategy_of(settings).plan(run, step) for step in reversed(range(run.total_steps))]
    assert ahead[::-1] == plans(settings) == plans(replace(settings, checkpoint_every_s=1))
    assert plans(replace(settings, seed=1)) != plans(settings)


def test_every_lesson_can_be_taught(settings: TrainSettings) -> None:
    frozen = False
    for plan in plans(settings):
        frozen = frozen or any(isinstance(event, FreezeTeacher) for event in plan.events)
        assert plan.learning_rate > 0
        assert plan.teacher is None or frozen
        for position, lesson in enumerate(plan.lessons):
            assert lesson.candidates
            assert all(SPACE.canonical(arch) == arch for arch in lesson.candidates)
            assert lesson.labels + lesson.in_place + lesson.teacher > 0
            assert position > 0 or lesson.in_place == 0
            assert lesson.teacher == 0 or plan.teacher is not None


def test_small_networks_are_trained_before_the_end(settings: TrainSettings) -> None:
    trained = {arch for plan in plans(settings) for lesson in plan.lessons for arch in lesson.candidates}
    smallest = min(macs(SPACE.lower(arch)) for arch in trained)
    assert smallest < 0.5 * macs(SPACE.lower(SPACE.largest()))
    for position, decision in enumerate(SPACE.decisions):
        assert {arch.choices[position] for arch in trained} == set(range(len(decision.options)))


def test_the_shortest_run_has_all_it_needs(settings: TrainSettings, data: TrainData, tmp_path: Path) -> None:
    train(SPACE, data, replace(settings, epochs=1, batch_size=48, warmup_epochs=0.0), tmp_path)


class StoppedError(Exception):
    pass


def test_stopped_anywhere_it_goes_on_to_the_same_weights(
    settings: TrainSettings, data: TrainData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("supernet.records._PROGRESS_EVERY_S", -1.0)
    events = [step for step, plan in enumerate(plans(settings)) if plan.events]
    # Stopped just before, in and just after each step that does more than learn: the step's own work is done again.
    stops = sorted({1, 20, *(step + shift for step in events for shift in (0, 1, 2))})
    train(SPACE, data, settings, tmp_path / "whole")
    for stop in stops:

        def progress(at: TrainProgress, stop: int = stop) -> None:
            if at.step > stop:
                raise StoppedError

        with pytest.raises(StoppedError):
            train(SPACE, data, replace(settings, checkpoint_every_s=0), tmp_path / "parts", progress)
        assert json.loads((tmp_path / "parts" / "checkpoint.json").read_text())["step"] == stop
    train(SPACE, data, settings, tmp_path / "parts")
    weights = [(tmp_path / part / "weights.safetensors").read_bytes() for part in ("whole", "parts")]
    assert weights[0] == weights[1]


def test_it_learns_and_says_what_it_costs(settings: TrainSettings, data: TrainData, tmp_path: Path) -> None:
    longer = replace(settings, epochs=12, evaluate_every=12)
    train(SPACE, data, longer, tmp_path)
    row = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])
    assert row["validation_accuracy_largest"] >= 0.6
    assert np.isfinite(row["loss"])
    counted = training_macs(SPACE, longer, 48)
    by_hand = sum(plan_macs(plan, lambda arch: macs(SPACE.lower(arch))) for plan in plans(longer))
    assert counted == pytest.approx(8 * by_hand)
    assert training_macs(SPACE, longer, 48, steps=36) == pytest.approx(counted, rel=0.2)


def test_it_trains_in_bfloat16(settings: TrainSettings, data: TrainData, tmp_path: Path) -> None:
    supernet = train(SPACE, data, replace(settings, epochs=2, precision="bfloat16"), tmp_path)
    assert all(bool(torch.isfinite(p).all()) and p.dtype == torch.float32 for p in supernet.parameters())


def test_options_that_it_does_not_have_are_refused(settings: TrainSettings) -> None:
    with pytest.raises(SupernetError, match=r"train\.options\.colour: strategy .* has no such option; allowed: "):
        replace(settings, options={"colour": "red"})
    strategy = strategy_of(settings)
    for field in fields(strategy):  # type: ignore[arg-type]
        for wrong in (-1, True, float("nan"), "seven", None, 1e99):
            with pytest.raises(SupernetError, match=rf"train\.options\.{field.name} is .*; allowed: "):
                replace(settings, options={field.name: wrong})


def test_channels_are_sorted_once_where_widths_begin_to_differ() -> None:
    settings = TrainSettings(strategy="deps", epochs=10, options={"start": 0.5})
    made = plans(settings)
    assert [step for step, plan in enumerate(made) if SortChannels() in plan.events] == [30]
    assert {len(plan.lessons) for plan in made[:30]} == {1}
    assert {len(plan.lessons) for plan in made[30:]} == {4}
    factors = [plan.lessons[1].in_place for plan in made[30:]]
    assert factors == sorted(factors)
    assert 0 < factors[0] < 0.2
    assert factors[-1] == 1.0


def test_an_unknown_strategy_is_refused_by_name() -> None:
    with pytest.raises(SupernetError, match=r"train\.strategy is 'sandwhich'; did you mean 'sandwich'"):
        TrainSettings(strategy="sandwhich")


def test_settings_without_a_use_are_refused() -> None:
    with pytest.raises(SupernetError, match=r"train\.solo_share is 0\.5, but strategy 'deps' has no use for it"):
        TrainSettings(strategy="deps", solo_share=0.5)


def test_the_guides_own_strategy_keeps_to_it(root: Path, data: TrainData, tmp_path: Path) -> None:
    code = (root / "docs/guide/training.md").read_text().split("## A strategy of your own")[1].split("```")[1]
    (tmp_path / "guide.py").write_text(code.removeprefix("python\n"))
    runpy.run_path(str(tmp_path / "guide.py"))
    settings = TrainSettings(strategy="only_the_largest", epochs=2, batch_size=8, crop_padding=1, threads=1)
    assert [len(plan.lessons) for plan in plans(settings)] == [1] * 12
    train(SPACE, data, settings, tmp_path)
