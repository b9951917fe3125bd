from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from search_spaces import Architecture, Decision, Network, NetworkBuilder, SearchSpace
from supernet import Supernet, SupernetError, TrainSettings
from supernet.interpreter import Dropout
from supernet.learning import Batch, add_gradients
from supernet.state import TrainState
from supernet.strategies import FreezeTeacher, Lesson, Plan


class WithoutNorm(SearchSpace):
    """Elastic width, and nothing that looks at a whole batch."""

    name = "without_norm"
    decisions = (Decision("width", (4, 6, 8)),)

    def lower(self, arch: Architecture) -> Network:
        builder = NetworkBuilder((3, 4, 4))
        width = (4, 6, 8)[arch.choices[0]]
        with builder.block("body"):
            x = builder.activation("act", builder.conv("conv", builder.input, width, 3, norm=False, bias=True), "relu")
            builder.linear("classifier", builder.flatten("flatten", builder.global_pool("pool", x)), 3)
        return builder.build()


SPACE = WithoutNorm()
SMALL, MIDDLE, LARGE = (Architecture("without_norm", (option,)) for option in range(3))
SETTINGS = TrainSettings(precision="float32", batch_size=4)


def images(count: int = 12) -> Batch:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(count, 3, 4, 4, generator=generator), torch.arange(count) % 3


def gradients(plan: Plan, batches: list[Batch], seed: int = 0, *, state: TrainState | None = None) -> dict[str, Tensor]:
    state = state or TrainState(SPACE, SETTINGS)
    state.optimiser.zero_grad()
    add_gradients(state, plan, batches, smoothing=0.1, seed=seed)
    return {n: p.grad.clone() for n, p in state.supernet.shared.named_parameters() if p.grad is not None}


@pytest.fixture(params=["in_place", "alpha", "attentive"])
def plan(request: pytest.FixtureRequest) -> Iterator[Plan]:
    first = Lesson((LARGE,), labels=1.0)
    others = {
        "in_place": Lesson((SMALL,), in_place=0.5),
        "alpha": Lesson((SMALL,), in_place=1.0, divergence="alpha"),
        "attentive": Lesson((SMALL, MIDDLE), in_place=1.0, keep="highest"),
    }
    yield Plan(0.1, (first, others[request.param]))


def test_several_batches_give_the_gradient_of_one_that_is_as_large_as_all(plan: Plan) -> None:
    x, y = images()
    parts = [(x[start : start + 4], y[start : start + 4]) for start in (0, 4, 8)]
    whole, accumulated = gradients(plan, [(x, y)]), gradients(plan, parts)
    for name, value in whole.items():
        torch.testing.assert_close(accumulated[name], value, atol=1e-6, rtol=1e-5)


def test_the_candidate_of_the_lowest_or_of_the_highest_loss_is_trained() -> None:
    state, (x, y) = TrainState(SPACE, SETTINGS), images()
    losses = {arch: torch.nn.functional.cross_entropy(state.supernet(x, arch), y) for arch in (SMALL, MIDDLE, LARGE)}
    ranked = sorted(losses, key=lambda arch: losses[arch].item())
    for keep, expected in (("lowest", ranked[0]), ("highest", ranked[-1])):
        chosen = Plan(0.1, (Lesson((SMALL, MIDDLE, LARGE), labels=1.0, keep=keep),))  # type: ignore[arg-type]
        got, wanted = (gradients(p, [(x, y)]) for p in (chosen, Plan(0.1, (Lesson((expected,), labels=1.0),))))
        assert all(torch.equal(got[name], wanted[name]) for name in wanted)


def test_weights_of_a_lesson_multiply_its_gradient() -> None:
    base = Plan(0.1, (Lesson((LARGE,), labels=1.0),))
    scaled = replace(base, lessons=(replace(base.lessons[0], labels=0.25),))
    one, quarter = (gradients(plan, [images()]) for plan in (base, scaled))
    for name in one:
        torch.testing.assert_close(quarter[name], 0.25 * one[name])


def test_the_frozen_teacher_stays_as_it_was() -> None:
    state, batch = TrainState(SPACE, SETTINGS), images()
    state.prepare(FreezeTeacher())
    plan = Plan(0.5, (Lesson((SMALL,), labels=1.0, teacher=1.0),), teacher=LARGE)
    assert state.teacher is not None
    before = state.teacher(batch[0], LARGE)
    for step in range(3):
        gradients(plan, [batch], state=state)
        state.update(step, 0.5)
    assert torch.equal(state.teacher(batch[0], LARGE), before)
    assert not torch.equal(state.supernet(batch[0], LARGE), before)


def test_guides_that_are_not_there_are_named() -> None:
    for lesson, teacher in ((Lesson((SMALL,), teacher=1.0), LARGE), (Lesson((SMALL,), in_place=1.0), None)):
        with pytest.raises(SupernetError, match="mend the strategy"):
            gradients(Plan(0.1, (lesson,), teacher=teacher), [images()])


def test_dropout_depends_on_the_seed_and_keeps_the_mean() -> None:
    plan = Plan(0.1, (Lesson((LARGE,), labels=1.0, dropout=0.5),))
    first, same, other = (gradients(plan, [images()], seed) for seed in (1, 1, 2))
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)
    dropped = Dropout(0.2, torch.Generator().manual_seed(0))(torch.ones(100, 100))
    assert dropped.mean().item() == pytest.approx(1, abs=0.03)
    assert set(dropped.flatten().tolist()) == {0.0, 1.25}
    plain = Supernet(SPACE)
    assert not torch.equal(plain(images()[0], LARGE), plain(images()[0], LARGE, dropout=_half()))


def _half() -> Dropout:
    return Dropout(0.5, torch.Generator().manual_seed(3))
