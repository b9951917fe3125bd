"""Units that are lost over a model: whether it is the model, and what is kept of that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from devices import Artifact, Measurement, MeasureSettings

UNITS: Final = 2
"""A model that so many units were lost over is not tried further: as many more would be lost as there are."""

TIMES: Final = 3
"""Nor is one that a single unit was lost over so many times; a pool may have no other."""

_LOSS = "lost_unit_"  # and a number: names in a measurement's environment


def lost_over(
    artifact: Artifact, device: str, settings: MeasureSettings, before: Measurement | None, loss: str
) -> Measurement:
    """The failed measurement of a model file over which a unit was lost.

    Args:
        artifact: the file.
        device: the pool's device.
        settings: what was asked.
        before: what is known under the same key; the losses that it tells of count as well.
        loss: the unit and why it is lost, as made by ``loss``.
    """
    losses = [*_losses(before), loss]
    pairs = tuple((f"{_LOSS}{number}", each) for number, each in enumerate(losses, 1))
    made = Measurement.failed(artifact, device, settings, told(losses), pairs)
    return replace(made, error=f"{made.error}; it is not tried again") if given_up(made) else made


def loss(unit: str, reason: object) -> str:
    """A unit and why it is lost, in a line."""
    return f"{unit}: {reason}"


def told(losses: Sequence[str]) -> str:
    """That units were lost, in a sentence."""
    return f"{len(losses)} times a unit was lost over this model ({'; '.join(losses)})"


def given_up(measurement: Measurement) -> bool:
    """Whether it is of a model that is not tried further, for the units that were lost over it."""
    losses = _losses(measurement)
    return len({each.partition(":")[0] for each in losses}) >= UNITS or len(losses) >= TIMES


def _losses(measurement: Measurement | None) -> list[str]:
    if measurement is None or measurement.ok:
        return []
    return [text for name, text in measurement.environment if name.startswith(_LOSS)]
