"""A search space: named decisions with their options, and the lowering of an architecture into a network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from search_spaces.architecture import Architecture
from search_spaces.errors import SpaceError
from search_spaces.network import Network

Option: TypeAlias = int | float | str


@dataclass(frozen=True, slots=True)
class Condition:
    """A decision matters only where an earlier decision took one of these options.

    Attributes:
        decision: name of the earlier decision.
        options: option *indices* of it under which the decision matters.
    """

    decision: str
    options: frozenset[int]


@dataclass(frozen=True, slots=True)
class Decision:
    """One named choice. Options are ordered from smallest to largest where they have an order."""

    name: str
    options: tuple[Option, ...]
    condition: Condition | None = None


class SearchSpace(ABC):
    """Base class of every space; a subclass gives ``name``, ``decisions`` and ``lower``.

    An architecture's *canonical* form sets every decision that cannot matter to option 0, so equal networks have
    equal keys. A decision can matter only if the decision its condition names matters too.
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """Name of the space with all its settings; equal names mean equal spaces."""

    @property
    @abstractmethod
    def decisions(self) -> tuple[Decision, ...]:
        """Every decision; a condition names an earlier one."""

    @abstractmethod
    def lower(self, arch: Architecture) -> Network:
        """The network that an architecture stands for.

        Raises:
            SpaceError: the architecture does not belong to this space.
        """

    @cached_property
    def _parents(self) -> tuple[tuple[int, NDArray[np.bool_]] | None, ...]:
        """For every decision: position of the decision it depends on, and under which of its options it matters."""
        position = {decision.name: index for index, decision in enumerate(self.decisions)}
        if len(position) != len(self.decisions):
            raise SpaceError(f"space {self.name!r}: two decisions have the same name")
        parents: list[tuple[int, NDArray[np.bool_]] | None] = []
        for index, decision in enumerate(self.decisions):
            condition = decision.condition
            if condition is None:
                parents.append(None)
                continue
            parent = position.get(condition.decision, index)
            if parent >= index:
                raise SpaceError(
                    f"decision {decision.name!r} depends on {condition.decision!r}, which is not before it"
                )
            mask = np.zeros(len(self.decisions[parent].options), bool)
            mask[list(condition.options)] = True
            parents.append((parent, mask))
        return tuple(parents)

    @cached_property
    def option_counts(self) -> NDArray[np.int64]:
        """Number of options of every decision, shape ``(decisions,)``."""
        return np.array([len(decision.options) for decision in self.decisions], np.int64)

    @cached_property
    def size(self) -> int:
        """Exact number of different (canonical) architectures."""
        children: list[list[int]] = [[] for _ in self.decisions]
        roots: list[int] = []
        for index, parent in enumerate(self._parents):
            (roots if parent is None else children[parent[0]]).append(index)

        def count(index: int) -> int:
            total = 0
            for option in range(len(self.decisions[index].options)):
                ways = 1
                for child in children[index]:
                    parent = self._parents[child]
                    if parent is not None and parent[1][option]:
                        ways *= count(child)
                total += ways
            return total

        result = 1
        for root in roots:
            result *= count(root)
        return result

    # -- many architectures at once, as integer arrays ------------------------------------------------------------

    def active(self, indices: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which decisions matter; ``indices`` and the result have shape ``(architectures, decisions)``."""
        mask = np.ones(indices.shape, bool)
        for index, parent in enumerate(self._parents):
            if parent is not None:
                mask[:, index] = mask[:, parent[0]] & parent[1][indices[:, parent[0]]]
        return mask

    def canonical_indices(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """Canonical form of option indices of shape ``(architectures, decisions)``."""
        return np.where(self.active(indices), indices, 0)

    def sample_indices(self, rng: np.random.Generator, count: int) -> NDArray[np.int64]:
        """``count`` canonical architectures, every decision uniform; shape ``(count, decisions)``."""
        return self.canonical_indices(rng.integers(0, self.option_counts, (count, len(self.decisions))))

    def indices(self, archs: Sequence[Architecture]) -> NDArray[np.int64]:
        """Option indices of architectures, shape ``(architectures, decisions)``."""
        return np.array([arch.choices for arch in archs], np.int64).reshape(len(archs), len(self.decisions))

    def architectures(self, indices: NDArray[np.int64]) -> list[Architecture]:
        """Architectures of option indices; the reverse of ``indices``."""
        return [Architecture(self.name, tuple(row)) for row in indices.tolist()]

    def encode(self, archs: Sequence[Architecture]) -> NDArray[np.float32]:
        """One-hot encoding, zeros where a decision does not matter; shape ``(architectures, sum of option counts)``."""
        indices = self.indices(archs)
        mask = self.active(indices)
        parts = [
            (np.arange(count) == indices[:, [column]]) & mask[:, [column]]
            for column, count in enumerate(self.option_counts)
        ]
        return np.concatenate(parts, axis=1).astype(np.float32)

    # -- one architecture at a time ---------------------------------------------------------------------------------

    def validate(self, arch: Architecture) -> None:
        """Check that an architecture belongs to this space.

        Raises:
            SpaceError: another space's name, a wrong number of choices, or an option index out of range.
        """
        if arch.space != self.name:
            raise SpaceError(f"architecture of space {arch.space!r} given to space {self.name!r}")
        if len(arch.choices) != len(self.decisions):
            raise SpaceError(
                f"{self.name!r} has {len(self.decisions)} decisions; {len(arch.choices)} choices were given"
            )
        for choice, decision in zip(arch.choices, self.decisions, strict=True):
            if not 0 <= choice < len(decision.options):
                allowed = f"0 to {len(decision.options) - 1} for {list(decision.options)}"
                raise SpaceError(f"decision {decision.name!r}: option index {choice} was given; allowed: {allowed}")

    def canonical(self, arch: Architecture) -> Architecture:
        """The same network with every decision that cannot matter set to option 0."""
        self.validate(arch)
        return self.architectures(self.canonical_indices(self.indices([arch])))[0]

    def sample(self, rng: np.random.Generator) -> Architecture:
        """A canonical architecture, every decision uniform over its options."""
        return self.architectures(self.sample_indices(rng, 1))[0]

    def mutate(self, arch: Architecture, rng: np.random.Generator, rate: float = 0.1) -> Architecture:
        """Another canonical architecture: each decision that matters moves to a different option with this probability.

        At least one decision moves, unless the space has a single architecture.
        """
        self.validate(arch)
        indices = self.indices([arch])[0]
        movable = np.flatnonzero(self.active(indices[None])[0] & (self.option_counts > 1))
        if not len(movable):
            return self.canonical(arch)
        moved = movable[rng.random(len(movable)) < rate]
        if not len(moved):
            moved = rng.choice(movable, 1)
        counts = self.option_counts[moved]
        # A decision that starts to matter because of the move is drawn afresh: its option 0 was a placeholder.
        dormant = ~self.active(indices[None])[0]
        indices[dormant] = rng.integers(0, self.option_counts)[dormant]
        indices[moved] = (indices[moved] + rng.integers(1, counts)) % counts
        return self.architectures(self.canonical_indices(indices[None]))[0]

    def crossover(self, left: Architecture, right: Architecture, rng: np.random.Generator) -> Architecture:
        """Uniform crossover: each choice comes from either parent; the result is canonical."""
        self.validate(left)
        self.validate(right)
        parents = self.indices([left, right])
        matters = self.active(parents)
        take = rng.integers(0, 2, len(self.decisions))
        # Where a choice matters in one parent only, that parent gives it: the other's is a placeholder.
        take = np.where(matters[0] ^ matters[1], matters[1], take)
        child = parents[take, np.arange(len(self.decisions))]
        return self.architectures(self.canonical_indices(child[None]))[0]

    def options_of(self, arch: Architecture) -> dict[str, Option]:
        """Decision names with the options taken, those that matter only."""
        self.validate(arch)
        matters = self.active(self.indices([arch]))[0]
        return {
            decision.name: decision.options[choice]
            for decision, choice, is_active in zip(self.decisions, arch.choices, matters, strict=True)
            if is_active
        }

    def from_options(self, options: Mapping[str, Option]) -> Architecture:
        """The canonical architecture that takes these options; decisions left out take their first.

        Raises:
            SpaceError: an unknown decision, or an option that it does not have.
        """
        known = {decision.name: decision for decision in self.decisions}
        for name, option in options.items():
            if name not in known:
                raise SpaceError(f"{self.name!r} has no decision {name!r}; it has {list(known)}")
            if option not in known[name].options:
                raise SpaceError(f"decision {name!r}: {option!r} was given; allowed: {list(known[name].options)}")
        choices = [d.options.index(options[d.name]) if d.name in options else 0 for d in self.decisions]
        return self.canonical(Architecture(self.name, tuple(choices)))

    def smallest(self) -> Architecture:
        """Every decision at its first option."""
        return Architecture(self.name, (0,) * len(self.decisions))

    def largest(self) -> Architecture:
        """Every decision that matters at its last option."""
        return self.canonical(Architecture(self.name, tuple(int(count) - 1 for count in self.option_counts)))

    def covering(self) -> Iterable[Architecture]:
        """Architectures whose networks together hold every weight of the space at its largest size.

        Here: the largest one, and the largest one with each single decision moved to each of its other options, with
        the decisions that this brings to life at their last option. A space with other shapes overrides it.
        """
        return self.moves_from([int(count) - 1 for count in self.option_counts])

    def moves_from(self, choices: Sequence[int]) -> Iterator[Architecture]:
        """The architecture of these choices, then it with each single decision moved to each of its other options."""
        yield self.canonical(Architecture(self.name, tuple(choices)))
        for position, count in enumerate(self.option_counts):
            for option in range(int(count)):
                if option != choices[position]:
                    moved = (*choices[:position], option, *choices[position + 1 :])
                    yield self.canonical(Architecture(self.name, moved))
