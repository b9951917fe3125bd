"""Networks as NASFLAT encodes them (Akhauri and Abdelfattah 2024): a graph of operations, and numbers beside it.

The authors add learnt encodings (arch2vec, CATE) and thirteen zero-cost scores. The published tables hold the scores of
FBNet's networks, and MACs and parameters of the others': these stand beside the graph here. In the authors' code the
first and the last of FBNet's layers take the places of the input and the output and are not seen; here they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

INPUT, OUTPUT, _FIRST = 0, 1, 2
_NONE, _SKIP = 0, 1
_BLOCKS = 4  # of a stage of once-for-all's networks, at most
_LINEAR, _STANDARD = ("epe_nas", "jacov", "l2_norm", "nwot", "plain", "zen"), ("grasp",)  # the others: logarithms


@dataclass(frozen=True)
class NasflatEncoding:
    """Every network of a table.

    Attributes:
        operations: of every node, the input first and the output last, shape ``(networks, nodes)``.
        hears: 1 where a node hears from another, shape ``(networks or 1, nodes, nodes)``.
        beside: what is known besides the graph, shape ``(networks, values)``.
    """

    operations: Tensor
    hears: Tensor
    beside: Tensor

    @property
    def kinds(self) -> int:
        """Number of operations, input and output included."""
        return int(self.operations.max()) + 1

    def take(self, networks: NDArray[np.intp]) -> NasflatEncoding:
        """Some networks."""
        rows = torch.from_numpy(np.ascontiguousarray(networks))
        hears = self.hears if len(self.hears) == 1 else self.hears[rows]
        return NasflatEncoding(self.operations[rows], hears, self.beside[rows])

    @classmethod
    def load(cls, folder: Path, table: str) -> NasflatEncoding:
        """Of a table, by its name."""
        with np.load(folder / f"{table}.npz", allow_pickle=False) as file:
            if table == "nasbench201":
                sizes = [np.log1p(file["flops_m"]), np.log1p(file["params_m"])]
                return _encoding(file["op_idx"], _cells(file), _scaled(sizes))
            if table == "fbnet":
                return _encoding(file["op_idx"], None, _zero_cost(file))
            sizes = [np.log1p(file["macs_m_w12"]), np.log1p(file["params_m_w12"]), file["resolution"]]
            return _encoding(_once_for_all(file), None, _scaled(sizes))


def _encoding(
    operations: NDArray[np.generic], hears: NDArray[np.bool_] | None, beside: NDArray[np.float64]
) -> NasflatEncoding:
    """Chains hear nothing but themselves, as in the authors' code; attention leaks a little between their nodes."""
    inner = operations.astype(np.int64) + _FIRST
    ends = [np.full((len(inner), 1), end) for end in (INPUT, OUTPUT)]
    nodes = np.concatenate([ends[0], inner, ends[1]], axis=1)
    graph = np.eye(nodes.shape[1])[None] if hears is None else hears
    return NasflatEncoding(
        torch.from_numpy(nodes), torch.from_numpy(graph.astype(np.float32)), torch.from_numpy(beside).float()
    )


def _cells(file: Mapping[str, NDArray[np.generic]]) -> NDArray[np.bool_]:
    """Who hears whom in a cell: without missing operations, past skip connections, and only on paths to the output."""
    operations, edges = file["op_idx"].astype(np.int64), file["edge_order"].tolist()
    last, output = max(end for _, end in edges), len(edges) + 1
    hears = np.zeros((len(operations), output + 1, output + 1), bool)
    for node, (start, end) in enumerate(edges, start=1):
        hears[:, node, 0] = start == 0
        hears[:, output, node] = end == last
        hears[:, node, 1:output] = [before == start for _, before in edges]
    for node in range(1, output):
        kind = operations[:, node - 1]
        past = hears[:, :, [node]] & hears[:, [node], :] & (kind == _SKIP)[:, None, None]
        hears |= past
        gone = (kind == _NONE) | (kind == _SKIP)
        hears[gone, node, :] = hears[gone, :, node] = False
    reach = hears | np.eye(output + 1, dtype=bool)
    for _ in range(output):
        reach = reach | (reach @ hears)
    used = reach[:, :, 0] & reach[:, output, :]
    pruned: NDArray[np.bool_] = hears & used[:, :, None] & used[:, None, :]
    return pruned


def _once_for_all(file: Mapping[str, NDArray[np.generic]]) -> NDArray[np.int64]:
    """Kernel and expansion of every block as one operation; 0 where the block is absent."""
    place = np.arange(file["ks"].shape[1])
    there = place % _BLOCKS < file["depth"].astype(np.int64)[:, place // _BLOCKS]
    _, kernel = np.unique(file["ks"], return_inverse=True)
    _, expansion = np.unique(file["expand"], return_inverse=True)
    kinds = 1 + kernel * (expansion.max() + 1) + expansion
    return np.where(there, kinds.reshape(there.shape), 0)


def _zero_cost(file: Mapping[str, NDArray[np.generic]]) -> NDArray[np.float64]:
    """The thirteen scores, on the scales of the authors' code."""
    columns = dict(zip(file["zcp_name"].tolist(), file["zcp"].astype(np.float64).T, strict=True))
    scaled = [
        (values - values.mean()) / values.std()
        if name in _STANDARD
        else _scaled([values if name in _LINEAR else np.log1p(values)])[:, 0]
        for name, values in columns.items()
    ]
    return np.stack(scaled, axis=1)


def _scaled(columns: list[NDArray[np.generic]]) -> NDArray[np.float64]:
    """Each to 0..1, shape ``(networks, columns)``."""
    matrix = np.stack([column.astype(np.float64) for column in columns], axis=1)
    scaled: NDArray[np.float64] = (matrix - matrix.min(axis=0)) / np.ptp(matrix, axis=0)
    return scaled
