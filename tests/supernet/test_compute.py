from __future__ import annotations

from dataclasses import replace

import pytest

from search_spaces import SearchSpace, get_space, macs
from supernet import SupernetError, TrainSettings, epochs_within, training_macs
from supernet.compute import plan_macs
from supernet.strategies import Lesson, Plan


def test_a_sandwich_costs_three_forward_passes_of_each_network(tiny_space: SearchSpace) -> None:
    settings = TrainSettings(epochs=3, batch_size=10, accumulate=2, random_subnets=0)
    ends = macs(tiny_space.lower(tiny_space.largest())) + macs(tiny_space.lower(tiny_space.smallest()))
    assert training_macs(tiny_space, settings, 105) == 3 * 5 * 20 * 3 * ends


def test_teachers_and_candidates_are_counted_forward_only(tiny_space: SearchSpace) -> None:
    large, small = tiny_space.largest(), tiny_space.smallest()
    cost = {large: 100, small: 10}
    plan = Plan(0.1, (Lesson((small,), teacher=1.0), Lesson((small, large), labels=1.0)), teacher=large)
    assert plan_macs(plan, cost.__getitem__) == 100 + 3 * 10 + (10 + 100) + 3 * 55


@pytest.mark.parametrize("strategy", ["sandwich", "progressive_shrinking", "deps"])
def test_a_budget_is_used_up_and_not_exceeded(strategy: str) -> None:
    space = get_space("mobilenetv3_32", {"resolutions": [16, 32], "depths": [1, 2]})
    settings = TrainSettings(strategy=strategy, batch_size=100)
    budget = training_macs(space, TrainSettings(epochs=7, batch_size=100), 1000)
    epochs = epochs_within(budget, space, settings, 1000)
    used = training_macs(space, replace(settings, epochs=epochs), 1000)
    assert 0.8 * budget <= used <= 1.05 * budget
    if strategy != "sandwich":
        assert epochs > 7


def test_too_small_a_budget_or_data_set_is_told(tiny_space: SearchSpace) -> None:
    settings = TrainSettings(batch_size=10)
    with pytest.raises(SupernetError, match=r"less than the .* of one epoch"):
        epochs_within(1.0, tiny_space, settings, 100)
    with pytest.raises(SupernetError, match="a step takes 10 images and there are 9"):
        training_macs(tiny_space, settings, 9)
