"""Architectures as arrays that an accuracy predictor learns from.

Two views of the same networks: the decisions of the space, and what the lowered network physically is (its work,
traffic, weights and depth, by kind of operation and by resolution). Twenty-five networks teach little about a hundred
options, but much about a few physical quantities; a thousand teach about both.

Decisions are named with dots and numbers, such as ``stages.2.blocks.1.kernel``. Leaving numbers out from the right
gives what related decisions share: the effect of a kernel in this block is that of kernels anywhere, plus that of
kernels in this stage, plus its own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latency_predictors.features import feature_matrix
from search_spaces import Architecture, Decision, SearchSpace

Matrix = NDArray[np.float64]

PHYSICAL = "physical"
"""Name of the group of physical columns."""


@dataclass(frozen=True)
class Encoded:
    """Architectures of one space.

    Attributes:
        options: for every decision a column an option, and one for its rank where options are numbers; zeros where the
            decision does not matter. Shape ``(architectures, columns)``.
        physical: counts of the lowered networks (``latency_predictors.features``), shape ``(architectures, features)``.
    """

    options: Matrix
    physical: Matrix

    def __len__(self) -> int:
        return len(self.options)

    def take(self, rows: NDArray[np.int64]) -> Encoded:
        """Some of the architectures."""
        return Encoded(self.options[rows], self.physical[rows])


@dataclass(frozen=True)
class Group:
    """Columns that play one part, such as the kernels of all blocks by stage.

    Attributes:
        name: the decisions' name with ``#`` in the place of numbers, and how many numbers are left out.
        left_out: numbers left out of the names, from the right.
        coarsest: whether no number is left.
        columns: 0/1 matrix that sums the columns of ``Encoded.options``, shape ``(columns, sums)``.
    """

    name: str
    left_out: int
    coarsest: bool
    columns: Matrix


class Encoding:
    """Encodes the architectures of a space.

    Attributes:
        space: the space.
        groups: every part that columns play, from single decisions to what all of a kind share.
        decisions: one group for every decision that has a choice.
        one_hot: which columns of ``Encoded.options`` stand for options, shape ``(columns,)``.
    """

    def __init__(self, space: SearchSpace) -> None:
        self.space = space
        widths = [len(decision.options) + _is_ordered(decision) for decision in space.decisions]
        starts = np.cumsum([0, *widths])
        self.one_hot = np.ones(int(starts[-1]), bool)
        self.one_hot[[end - 1 for end, d in zip(starts[1:], space.decisions, strict=True) if _is_ordered(d)]] = False
        self.groups = _groups(space.decisions, starts.tolist())
        self.decisions = tuple(
            Group(decision.name, 0, True, np.eye(int(starts[-1]))[:, starts[position] : starts[position + 1]])
            for position, decision in enumerate(space.decisions)
            if len(decision.options) > 1
        )

    def encode(self, archs: Sequence[Architecture]) -> Encoded:
        """Arrays of architectures, of which at least one is given; each is lowered into its network.

        Raises:
            SpaceError: an architecture that does not belong to the space.
        """
        for arch in archs:
            self.space.validate(arch)
        rows = self.space.canonical_indices(self.space.indices(archs))
        physical = feature_matrix([self.space.lower(arch) for arch in self.space.architectures(rows)])
        return Encoded(self._options(rows), np.asarray(physical, np.float64))

    def _options(self, rows: NDArray[np.int64]) -> Matrix:
        matters = self.space.active(rows)
        parts: list[Matrix] = []
        for column, decision in enumerate(self.space.decisions):
            chosen, here, count = rows[:, [column]], matters[:, [column]], len(decision.options)
            parts.append(((np.arange(count) == chosen) & here).astype(np.float64))
            if _is_ordered(decision):
                parts.append((chosen + 1) / count * here)
        return np.concatenate(parts, axis=1)


def _is_ordered(decision: Decision) -> bool:
    return all(not isinstance(option, str) for option in decision.options)


def _groups(decisions: Sequence[Decision], starts: Sequence[int]) -> tuple[Group, ...]:
    """Columns by role of their decision and by how many numbers of its name are left out."""
    found: dict[tuple[str, int], dict[str, list[int]]] = {}
    for position, decision in enumerate(decisions):
        if len(decision.options) < 2:
            continue
        role, numbers = re.sub(r"\d+", "#", decision.name), len(re.findall(r"\d+", decision.name))
        for left_out in range(numbers + 1):
            name = _without_numbers(decision.name, left_out)
            found.setdefault((role, left_out), {}).setdefault(name, []).append(position)
    groups = []
    for (role, left_out), shared in found.items():
        parts = []
        for members in shared.values():
            width = starts[members[0] + 1] - starts[members[0]]
            if any(starts[member + 1] - starts[member] != width for member in members):
                continue  # decisions of one name with other options have nothing in common to sum
            part = np.zeros((starts[-1], width))
            for member in members:
                part[starts[member] + np.arange(width), np.arange(width)] = 1
            parts.append(part)
        if parts:
            groups.append(Group(f"{role} without {left_out}", left_out, left_out == role.count("#"), np.hstack(parts)))
    return tuple(groups)


def _without_numbers(name: str, left_out: int) -> str:
    for _ in range(left_out):
        name = re.sub(r"\d+(?=\D*$)", "*", name)
    return name
