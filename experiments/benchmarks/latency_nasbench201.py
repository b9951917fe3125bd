"""What a cell of NAS-Bench-201 asks of a device, from its operations and edges.

Every quantity is there twice: over all operations and over those on a path from input to output. A runtime that drops
dead operations runs the second kind, one that runs the graph as it is written the first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_NONE, _SKIP, _CONV1, _CONV3, _POOL = range(5)
_COSTS = {
    "launches": (0, 0, 1, 1, 1),
    "convolutions": (0, 0, 1, 1, 0),
    "macs": (0, 0, 1, 9, 0),
    "steps": (0, 1, 1, 1, 1),
}
_EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))


def nasbench201_groups(file: Mapping[str, NDArray[np.generic]]) -> tuple[dict[str, Floats], dict[str, Floats], Floats]:
    """Groups of features, virtual devices and MACs of every cell."""
    assert [tuple(edge) for edge in file["edge_order"].tolist()] == list(_EDGES)
    operations = file["op_idx"].astype(np.int64)
    active = np.where(file["active_edge"], operations, _NONE)
    groups: dict[str, Floats] = {}
    for name, cells in (("all", operations), ("active", active)):
        groups |= {f"{name}.{group}": matrix for group, matrix in _groups(cells)}
    pairs = [_pair(operations, i, j) for i, j in combinations(range(len(_EDGES)), 2)]
    groups["all.pairs"] = np.concatenate(pairs, axis=1)
    macs, active_macs = file["flops_m"].astype(np.float64), file["flops_active_m"].astype(np.float64)
    quantities = {
        "macs": macs,
        "active_macs": active_macs,
        "launches": 1 + _count(operations, (_CONV1, _CONV3, _POOL)),
        "active_launches": 1 + _count(active, (_CONV1, _CONV3, _POOL)),
        "traffic": 1 + groups["all.traffic"][:, 0],
        "active_traffic": 1 + groups["active.traffic"][:, 0],
    }
    for kind in ("", "active_"):
        work, launches = quantities[f"{kind}macs"], quantities[f"{kind}launches"]
        quantities[f"{kind}macs_and_launches"] = work / work.mean() + launches / launches.mean()
    return groups, quantities, macs


def _groups(cells: NDArray[np.int64]) -> Iterator[tuple[str, Floats]]:
    counts = np.stack([(cells == kind).sum(axis=1) for kind in range(5)], axis=1).astype(np.float64)
    used = counts[:, 1:]
    yield "macs", counts[:, [_CONV1]] + 9 * counts[:, [_CONV3]]
    yield "counts", used
    yield "traffic", 2 * _count(cells, (_CONV1, _CONV3, _POOL))[:, None] + _additions(cells)[:, None]
    yield "launches", _count(cells, (_CONV1, _CONV3, _POOL))[:, None]
    yield "additions", _additions(cells)[:, None]
    yield "paths", np.stack([_longest(cells, cost) for cost in _COSTS.values()], axis=1)
    centred = used - used.mean(axis=0)
    yield "count_pairs", np.stack([centred[:, i] * centred[:, j] for i in range(4) for j in range(i, 4)], axis=1)
    yield "dead_input", (cells == _NONE).all(axis=1, keepdims=True).astype(np.float64)
    yield "edges", np.concatenate([(cells[:, [edge]] == np.arange(1, 5)) for edge in range(6)], axis=1).astype(float)


def _count(cells: NDArray[np.int64], kinds: tuple[int, ...]) -> Floats:
    return np.isin(cells, kinds).sum(axis=1).astype(np.float64)


def _additions(cells: NDArray[np.int64]) -> Floats:
    """Sums a cell computes: inputs of a node beyond its first."""
    total = np.zeros(len(cells))
    for node in (1, 2, 3):
        into = [index for index, (_, end) in enumerate(_EDGES) if end == node]
        total += np.maximum((cells[:, into] != _NONE).sum(axis=1) - 1, 0)
    return total


def _longest(cells: NDArray[np.int64], cost: tuple[int, ...]) -> Floats:
    """Largest sum of costs along a path through the cell."""
    weights = np.array(cost, np.float64)[cells]
    ends = [np.zeros(len(cells)), *(np.full(len(cells), -np.inf) for _ in range(3))]
    for index, (start, end) in enumerate(_EDGES):
        through = np.where(cells[:, index] == _NONE, -np.inf, ends[start] + weights[:, index])
        ends[end] = np.maximum(ends[end], through)
    return np.where(np.isfinite(ends[3]), ends[3], -1.0)


def _pair(cells: NDArray[np.int64], first: int, second: int) -> Floats:
    both = 5 * cells[:, first] + cells[:, second]
    return (both[:, None] == np.arange(25)).astype(np.float64)
