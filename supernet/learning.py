"""The backward passes of one step, as its plan has them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from search_spaces import Network
from supernet.distillation import distillation_loss
from supernet.errors import SupernetError
from supernet.interpreter import Dropout, Supernet
from supernet.state import TrainState
from supernet.strategies import Lesson, Plan
from supernet.workers import Workers

Batch = tuple[Tensor, Tensor]


def add_gradients(
    state: TrainState,
    plan: Plan,
    batches: Sequence[Batch],
    *,
    smoothing: float,
    seed: int,
    workers: Workers | None = None,
) -> Tensor:
    """Add up the gradients of all lessons over all batches, averaged over the batches.

    Args:
        state: whose weights learn.
        plan: what they learn.
        batches: inputs ``(batch, 3, height, width)`` in the dtype to compute in, and labels ``(batch,)``.
        smoothing: of the labels.
        seed: of dropout in this step.
        workers: the processes that each have a part of every batch; gradients are then averaged over them.

    Returns:
        Mean loss of the step's first sub-network, a scalar without gradient.
    """
    supernet = state.supernet
    networks = [_choose(supernet, lesson, batches, workers) for lesson in plan.lessons]
    teacher = supernet.space.lower(plan.teacher) if plan.teacher is not None else None
    generator = torch.Generator(batches[0][0].device).manual_seed(seed)
    first_losses = []
    for inputs, labels in batches:
        taught = _teach(state, teacher, inputs, workers) if teacher is not None else None
        first: Tensor | None = None
        for lesson, network in zip(plan.lessons, networks, strict=True):
            dropout = Dropout(lesson.dropout, generator) if lesson.dropout > 0 else None
            logits = supernet(inputs, network, dropout=dropout, workers=workers)
            loss = _loss(lesson, logits, labels, (first, taught), smoothing)
            # One after another: the activations of one sub-network at a time are in memory.
            torch.autograd.backward(state.scaler.scale(loss / len(batches)))
            if first is None:
                first = logits.detach()
                first_losses.append(loss.detach())
    mean = torch.stack(first_losses).mean()
    if workers is None:
        return mean
    workers.average_gradients(supernet.parameters())
    return workers.mean(mean)


def _loss(
    lesson: Lesson, logits: Tensor, labels: Tensor, guides: tuple[Tensor | None, Tensor | None], smoothing: float
) -> Tensor:
    """The lesson's weighted sum; guides are the outputs of the step's first sub-network and of the teacher."""
    terms = []
    if lesson.labels > 0:
        terms.append(lesson.labels * F.cross_entropy(logits, labels, label_smoothing=smoothing))
    for weight, guide in zip((lesson.in_place, lesson.teacher), guides, strict=True):
        if weight > 0:
            if guide is None:
                raise SupernetError("a lesson asks for outputs that its plan does not compute; mend the strategy")
            terms.append(weight * distillation_loss(logits, guide, lesson.divergence))
    return torch.stack(terms).sum() if len(terms) > 1 else terms[0]


def _choose(supernet: Supernet, lesson: Lesson, batches: Sequence[Batch], workers: Workers | None) -> Network:
    """The lesson's sub-network; of several candidates, by their losses on these batches."""
    networks = [supernet.space.lower(arch) for arch in lesson.candidates]
    if len(networks) == 1:
        return networks[0]
    with torch.no_grad():
        losses = torch.tensor(
            [
                sum(F.cross_entropy(supernet(x, network, workers=workers), labels).item() for x, labels in batches)
                for network in networks
            ]
        )
    if workers is not None:
        losses = workers.mean(losses)
    return networks[int(losses.argmin() if lesson.keep == "lowest" else losses.argmax())]


@torch.no_grad()
def _teach(state: TrainState, network: Network, inputs: Tensor, workers: Workers | None) -> Tensor:
    if state.teacher is None:
        raise SupernetError("a plan asks for a teacher that no earlier step has frozen; mend the strategy")
    logits: Tensor = state.teacher(inputs, network, workers=workers)
    return logits
