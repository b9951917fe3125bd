"""NAS-Bench-201's cells (Dong and Yang 2020, section 2): five operations on six edges, 15,625 cells, all of one shape.

A network is a stem, three stages of five equal cells with two residual reduction blocks between them, and a classifier.
Only what lies on a path from a cell's input to its output is lowered. So multiply-accumulates and parameters are those
of the active operations, which the published tables count too, except for three things:

- The norm before the classifier has no convolution to be folded into; it is a 1×1 depthwise convolution with a norm,
  and adds 4,096 multiply-accumulates at 32 px and 64 weights.
- 341 cells pass nothing to their output. Their network cannot tell images apart; it is lowered as just that, a constant
  for every class, where the tables count the stem and the reduction blocks.
- Cells that differ only in operations off the path, or in where a skip connection sits, are one network and have one
  canonical form, so the space is smaller than 15,625.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cached_property, lru_cache
from itertools import product
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from search_spaces.architecture import Architecture
from search_spaces.builder import NetworkBuilder
from search_spaces.errors import SpaceError
from search_spaces.network import Network
from search_spaces.registry import register_space
from search_spaces.space import Decision, SearchSpace

EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
"""From which node of a cell to which: in the order of the decisions and of NAS-Bench-201's strings."""

OPERATIONS = ("none", "skip_connect", "avg_pool_3x3", "nor_conv_1x1", "nor_conv_3x3")
"""What an edge can do, from least to most work."""

_NONE, _SKIP, _POOL, _CONV1, _CONV3 = range(len(OPERATIONS))
_STAGES = 3
_INPUT = _ANY_EDGE = -1
_Sum: TypeAlias = tuple[int, ...]
"""Terms by their numbers, ascending; ``_INPUT`` is a cell's input."""
_Term: TypeAlias = tuple[int, int, _Sum]
"""An operation, its edge, and what it reads."""
_PLACES = len(OPERATIONS) ** np.arange(len(EDGES) - 1, -1, -1)


class NASBench201Space(SearchSpace):
    """Cells of NAS-Bench-201 in their fixed network.

    Args:
        classes: classes to tell apart.
        resolution: side of the input image.
        channels: of the stem and the first stage.
        cells: in every stage.

    Raises:
        SpaceError: a setting that makes no network.
    """

    def __init__(self, *, classes: int = 10, resolution: int = 32, channels: int = 16, cells: int = 5) -> None:
        least = {"classes": (classes, 2), "resolution": (resolution, 4), "channels": (channels, 2), "cells": (cells, 1)}
        for name, (given, lowest) in least.items():
            if not isinstance(given, int) or given < lowest:
                raise SpaceError(f"space 'nasbench201': {name} is {given!r}; give a whole number of at least {lowest}")
        self.classes, self.resolution, self.channels, self.cells = classes, resolution, channels, cells

    @property
    def name(self) -> str:
        """Registered name, followed by a digest of the settings where they are not the published ones."""
        settings = (self.classes, self.resolution, self.channels, self.cells)
        digest = hashlib.sha256(repr(settings).encode()).hexdigest()[:8]
        return "nasbench201" if settings == (10, 32, 16, 5) else f"nasbench201-{digest}"

    @cached_property
    def decisions(self) -> tuple[Decision, ...]:
        """The operation of every edge."""
        return tuple(Decision(f"edges.{source}_to_{target}", OPERATIONS) for source, target in EDGES)

    @cached_property
    def size(self) -> int:
        """Number of different networks."""
        return len(np.unique(_canonical_numbers()))

    def active(self, indices: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which edges matter: those whose source the input reaches and whose target reaches the output."""
        connected = indices != _NONE
        from_input, to_output = _reach(connected)
        return np.stack([from_input[s] & to_output[t] for s, t in EDGES], axis=-1)

    def canonical_indices(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """Of all cells that are the same network, the one whose operations come first."""
        numbers = _canonical_numbers()[indices @ _PLACES]
        return np.asarray(numbers[:, None] // _PLACES % len(OPERATIONS), np.int64)

    def mutate(self, arch: Architecture, rng: np.random.Generator, rate: float = 0.1) -> Architecture:
        """Another canonical architecture: each edge that matters takes a different operation with this probability."""
        child = super().mutate(arch, rng, rate)
        if child != self.canonical(arch):
            return child
        # Edges that came to life by the move made up for it. Changing one edge alone always changes the network.
        indices = self.indices([self.canonical(arch)])
        edge = rng.choice(np.flatnonzero(self.active(indices)[0]))
        indices[0, edge] = (indices[0, edge] + rng.integers(1, len(OPERATIONS))) % len(OPERATIONS)
        return self.architectures(self.canonical_indices(indices))[0]

    def covering(self) -> Iterable[Architecture]:
        """Every operation with weights on every edge, and the network without a path."""
        yield from super().covering()
        yield self.smallest()

    def from_string(self, text: str) -> Architecture:
        """The architecture of a cell as NAS-Bench-201 writes it, such as ``|none~0|+|none~0|none~1|+|…|``.

        Raises:
            SpaceError: not the string of a cell.
        """
        names = [edge.partition("~") for edge in text.replace("+", "").strip("|").replace("||", "|").split("|")]
        expected = [str(source) for source, _ in EDGES]
        if [source for *_, source in names] != expected or any(name not in OPERATIONS for name, *_ in names):
            allowed = f"|OP~0|+|OP~0|OP~1|+|OP~0|OP~1|OP~2| with OP of {list(OPERATIONS)}"
            raise SpaceError(f"{text!r} is no cell of NAS-Bench-201; write it as {allowed}")
        return Architecture(self.name, tuple(OPERATIONS.index(name) for name, *_ in names))

    def to_string(self, arch: Architecture) -> str:
        """A cell as NAS-Bench-201 writes it."""
        self.validate(arch)
        parts = [f"|{OPERATIONS[choice]}~{edge[0]}" for choice, edge in zip(arch.choices, EDGES, strict=True)]
        return f"{parts[0]}|+{''.join(parts[1:3])}|+{''.join(parts[3:])}|"

    def lower(self, arch: Architecture) -> Network:
        """The network of one architecture: logits of shape ``(classes,)``."""
        choices = self.canonical(arch).choices
        builder = NetworkBuilder((3, self.resolution, self.resolution))
        if not any(choices):
            return self._constant(builder)
        with builder.block("stem"):
            x = builder.conv("conv", builder.input, self.channels, 3)
        for stage in range(_STAGES):
            if stage:
                with builder.block(f"stages.{stage}.reduction"):
                    x = _reduction(builder, x, self.channels * 2**stage)
            for cell in range(self.cells):
                x = _cell(builder, x, f"stages.{stage}.cells.{cell}", choices)
        with builder.block("head"):
            x = builder.activation("activation", builder.depthwise("norm", x, 1), "relu")
            x = builder.flatten("flatten", builder.global_pool("pool", x))
            builder.linear("classifier", x, self.classes)
        return builder.build()

    def _constant(self, builder: NetworkBuilder) -> Network:
        """Logits that do not depend on the image: a softmax over a number and its copy is one half, twice.

        Over a single number it would be 1, but ONNX Runtime's integer softmax then gives 0.
        """
        with builder.block("constant"):
            x = builder.global_pool("pool", builder.input)
            pairs = builder.transpose("pairs", builder.reshape("rows", builder.concat("copy", (x, x)), (2, 3)), (1, 0))
            x = builder.flatten("halves", builder.softmax("softmax", pairs))
            builder.linear("classifier", x, self.classes)
        return builder.build()


def _cell(builder: NetworkBuilder, source: str, name: str, choices: tuple[int, ...]) -> str:
    """One cell: every node is the sum of its edges; ``choices`` is canonical and passes something on."""
    nodes: dict[int, str] = {0: source}
    for target in range(1, 4):
        for (start, end), choice in zip(EDGES, choices, strict=True):
            if end != target or choice == _NONE:
                continue
            edge = f"{start}_to_{end}"
            with builder.block(f"{name}.{edge}"):
                x = _operation(builder, nodes[start], choice)
            with builder.block(name):
                nodes[end] = builder.add(f"sum_{edge}", nodes[end], x) if end in nodes else x
    return nodes[3]


def _operation(builder: NetworkBuilder, source: str, choice: int) -> str:
    if choice == _SKIP:
        return source
    if choice == _POOL:
        return builder.pool("pool", source, "average", 3, 1)
    # Operations that exclude each other have names, and so weights, of their own.
    kernel = 1 if choice == _CONV1 else 3
    x = builder.activation(f"activation_{kernel}x{kernel}", source, "relu")
    return builder.conv(f"conv_{kernel}x{kernel}", x, builder.shape(source)[0], kernel)


def _reduction(builder: NetworkBuilder, source: str, width: int) -> str:
    """Two 3×3 convolutions, the first with stride 2; the shortcut averages 2×2 pixels and projects them."""
    x = builder.conv("first", builder.activation("first_activation", source, "relu"), width, 3, stride=2)
    x = builder.conv("second", builder.activation("second_activation", x, "relu"), width, 3)
    shortcut = builder.conv("shortcut", builder.pool("pool", source, "average", 2, 2), width, norm=False)
    return builder.add("residual", x, shortcut)


def _reach(connected: NDArray[np.bool_]) -> tuple[list[NDArray[np.bool_]], list[NDArray[np.bool_]]]:
    """Which nodes the input reaches and which reach the output; ``connected`` has shape ``(cells, edges)``."""
    from_input = [np.full(len(connected), node == 0) for node in range(4)]
    to_output = [np.full(len(connected), node == 3) for node in range(4)]
    for edge, (source, target) in enumerate(EDGES):
        from_input[target] = from_input[target] | (from_input[source] & connected[:, edge])
    for edge, (source, target) in reversed(list(enumerate(EDGES))):
        to_output[source] = to_output[source] | (to_output[target] & connected[:, edge])
    return from_input, to_output


@lru_cache(maxsize=1)
def _canonical_numbers() -> NDArray[np.int64]:
    """Number of the canonical form of every cell; a cell's number has its choices as digits, the first edge's first."""
    first: dict[_Sum, int] = {}
    terms: dict[_Term, int] = {}
    numbers = np.zeros(len(OPERATIONS) ** len(EDGES), np.int64)
    for number, choices in enumerate(product(range(len(OPERATIONS)), repeat=len(EDGES))):
        numbers[number] = first.setdefault(_meaning(choices, terms), number)
    return numbers


def _meaning(choices: tuple[int, ...], terms: dict[_Term, int]) -> _Sum:
    """What a cell computes; ``terms`` numbers every term that was ever met."""
    nodes: list[_Sum] = [(_INPUT,), (), (), ()]
    for edge, (choice, (source, target)) in enumerate(zip(choices, EDGES, strict=True)):
        added = nodes[source]
        if choice == _NONE or not added:
            continue
        if choice != _SKIP:
            # Convolutions have weights, and so the same ones on two edges are two terms.
            term = (choice, _ANY_EDGE if choice == _POOL else edge, added)
            added = (terms.setdefault(term, len(terms)),)
        nodes[target] = tuple(sorted((*nodes[target], *added)))
    return nodes[3]


@register_space("nasbench201")
def nasbench201(*, classes: int = 10, resolution: int = 32, channels: int = 16, cells: int = 5) -> NASBench201Space:
    """NAS-Bench-201's cells at 32 px: five operations on six edges, three stages of five equal cells."""
    return NASBench201Space(classes=classes, resolution=resolution, channels=channels, cells=cells)
