from __future__ import annotations

import math
from dataclasses import replace

import pytest

from search_spaces import Architecture, Decision, Network, SearchSpace, get_space
from supernet import SupernetError, TrainSettings
from supernet.schedule import learning_rate
from supernet.strategies import Run, strategy_of


def archs(space: SearchSpace, settings: TrainSettings, step: int) -> list[Architecture]:
    settings = replace(settings, epochs=10)
    plan = strategy_of(settings).plan(Run(space, settings, 1), step)
    return [arch for lesson in plan.lessons for arch in lesson.candidates]


def test_learning_rate_warms_up_then_falls_to_zero() -> None:
    settings = TrainSettings(epochs=10, warmup_epochs=2, learning_rate=0.4)
    rates = [learning_rate(settings, step, 5) for step in range(50)]
    assert rates[0] == pytest.approx(0.04)
    assert rates[9] == pytest.approx(0.4)
    assert max(rates) == pytest.approx(0.4)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[30] == pytest.approx(0.4 * 0.5 * (1 + math.cos(math.pi / 2)))
    assert 0 < rates[-1] < 0.002


def test_sandwich_is_the_largest_the_smallest_and_random_ones(tiny_space: SearchSpace) -> None:
    settings = TrainSettings(random_subnets=3)
    made = archs(tiny_space, settings, 7)
    assert made[:2] == [tiny_space.largest(), tiny_space.smallest()]
    assert len(made) == 5
    assert made == archs(tiny_space, settings, 7)
    assert made != archs(tiny_space, settings, 8)


def test_the_largest_trains_alone_at_first(tiny_space: SearchSpace) -> None:
    settings = TrainSettings(solo_share=0.5, random_subnets=1)
    assert [len(archs(tiny_space, settings, step)) for step in range(10)] == [1] * 5 + [3] * 5


@pytest.mark.parametrize(
    "settings",
    [
        TrainSettings(solo_share=0.6, grow_resolution=True),
        TrainSettings(strategy="deps", options={"start": 0.6}, grow_resolution=True),
    ],
)
def test_images_grow_while_the_largest_trains_alone(settings: TrainSettings) -> None:
    space = get_space("mobilenetv3_32", {"resolutions": [16, 24, 32]})
    alone = [space.options_of(archs(space, settings, step)[0]) for step in range(6)]
    assert [options["resolution"] for options in alone] == [16, 16, 24, 24, 32, 32]
    assert {**alone[0], "resolution": 32} == space.options_of(space.largest())
    assert archs(space, settings, 6)[0] == space.largest()


def test_images_cannot_grow_where_all_networks_see_one_size() -> None:
    class OneSize(SearchSpace):
        name = "one_size"
        decisions = (Decision("width", (8, 16)),)

        def lower(self, arch: Architecture) -> Network:
            raise NotImplementedError

    with pytest.raises(SupernetError, match="no decision 'resolution'"):
        archs(OneSize(), TrainSettings(solo_share=0.5, grow_resolution=True), 0)


def test_progressive_shrinking_follows_the_papers_phases() -> None:
    """Appendix B: full 180 epochs, kernel 125, depth 25 and 125, width 25 and 125, rates 0.08, 0.03, 0.0025, 0.0075."""
    settings = TrainSettings(strategy="progressive_shrinking", epochs=605, learning_rate=0.08)
    space = get_space("mobilenetv3_32")
    run, strategy = Run(space, settings, 1), strategy_of(settings)
    plans = [strategy.plan(run, step) for step in range(605)]
    kinds = ("kernel", "depth", "expansion")

    def elastic(begin: int, end: int) -> dict[str, set[int]]:
        seen: dict[str, set[int]] = {kind: set() for kind in kinds}
        for plan in plans[begin:end]:
            for lesson in plan.lessons:
                for name, option in space.options_of(lesson.candidates[0]).items():
                    if name.rpartition(".")[2] in kinds:
                        seen[name.rpartition(".")[2]].add(int(option))
        return seen

    assert elastic(0, 180) == {"kernel": {7}, "depth": {3}, "expansion": {4}}
    assert elastic(180, 305) == {"kernel": {3, 5, 7}, "depth": {3}, "expansion": {4}}
    assert elastic(305, 330) == {"kernel": {3, 5, 7}, "depth": {2, 3}, "expansion": {4}}
    assert elastic(330, 455) == {"kernel": {3, 5, 7}, "depth": {1, 2, 3}, "expansion": {4}}
    assert elastic(455, 480) == {"kernel": {3, 5, 7}, "depth": {1, 2, 3}, "expansion": {3, 4}}
    assert elastic(480, 605) == {"kernel": {3, 5, 7}, "depth": {1, 2, 3}, "expansion": {2, 3, 4}}
    peaks = [max(plan.learning_rate for plan in plans[begin:end]) for begin, end in _PHASES]
    assert peaks == pytest.approx([0.08, 0.03, 0.0025, 0.0075, 0.0025, 0.0075])
    assert [len(plans[begin].lessons) for begin, _ in _PHASES] == [1, 1, 2, 2, 4, 4]
    assert [step for step, plan in enumerate(plans) if plan.events] == [180, 455, 480]


_PHASES = ((0, 180), (180, 305), (305, 330), (330, 455), (455, 480), (480, 605))


@pytest.mark.parametrize(
    "values",
    [
        {"epochs": 0},
        {"learning_rate": 0},
        {"momentum": 1.0},
        {"solo_share": 1.5},
        {"warmup_epochs": 21},
        {"threads": 10**9},
        {"epochs": True},
        {"batch_size": 16.5},
        {"seed": -1},
        {"learning_rate": float("nan")},
        {"accumulate": 0},
        {"ema_decay": 1},
        {"flip": 1},
        {"precision": "float8"},
        {"watch": ("wandb",)},
    ],
)
def test_settings_out_of_range_are_refused(values: dict[str, float]) -> None:
    name, value = next(iter(values.items()))
    with pytest.raises(SupernetError) as caught:
        TrainSettings(**values)  # type: ignore[arg-type]
    assert f"train.{name} is {value!r}; allowed" in str(caught.value)
