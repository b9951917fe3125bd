"""Networks as HELP encodes them (Lee et al. 2021, appendix; settings of the authors' public code).

A cell of NAS-Bench-201 is a graph whose nodes are its input, its six operations, its output and a global node that
hears from all; a network of the two other spaces is a vector of zeros and ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_OPERATIONS, _KERNELS, _EXPANSIONS = 5, (3, 5, 7), (3, 4, 6)
_BLOCKS = 4  # of a stage of once-for-all's networks, at most
_RESOLUTIONS = range(128, 225, 4)


@dataclass(frozen=True)
class HelpEncoding:
    """Every network of a table.

    Attributes:
        features: float32, shape ``(networks, features)``, or ``(nodes, networks, features)`` of graphs.
        hears: 1 where a node hears from another or itself, the same for all graphs, shape ``(nodes, nodes)``; or None.
    """

    features: Tensor
    hears: Tensor | None

    def take(self, networks: NDArray[np.intp]) -> Tensor:
        """Features of some networks: of shape ``(tasks, networks)`` or ``(networks,)``, ahead of the features' own.

        Graphs have their nodes ahead of their networks.
        """
        rows = torch.from_numpy(np.ascontiguousarray(networks))
        if self.hears is None:
            return self.features[rows]
        return self.features[:, rows].movedim(0, -3).contiguous()

    @classmethod
    def load(cls, folder: Path, table: str) -> HelpEncoding:
        """Of a table, by its name."""
        with np.load(folder / f"{table}.npz", allow_pickle=False) as file:
            if table == "nasbench201":
                return _cells(file)
            return cls(torch.from_numpy((_fbnet if table == "fbnet" else _once_for_all)(file)).float(), None)


def _cells(file: Mapping[str, NDArray[np.generic]]) -> HelpEncoding:
    operations, edges = file["op_idx"].astype(np.int64), file["edge_order"].tolist()
    inner, output = range(1, len(edges) + 1), len(edges) + 1
    nodes = output + 2
    features = np.zeros((nodes, len(operations), _OPERATIONS + 3))
    for column, node in enumerate((0, output, nodes - 1)):
        features[node, :, _OPERATIONS + column] = 1
    features[1:output, :, :_OPERATIONS] = operations.T[:, :, None] == np.arange(_OPERATIONS)
    hears = np.eye(nodes)
    hears[-1] = 1
    for node, (start, end) in zip(inner, edges, strict=True):
        hears[node, 0] = start == 0
        hears[output, node] = end == max(edge[1] for edge in edges)
        for other, (_, before) in zip(inner, edges, strict=True):
            hears[node, other] += before == start
    return HelpEncoding(torch.from_numpy(features).float(), torch.from_numpy(hears).float())


def _fbnet(file: Mapping[str, NDArray[np.generic]]) -> NDArray[np.float64]:
    """Of each layer its kernel (2) and its expansion or groups (4); a skipped layer has zeros."""
    operations = file["op_idx"].astype(np.int64)[:, :, None]
    kept = operations < 8
    kernel, kind = operations // 4 == np.arange(2), operations % 4 == np.arange(4)
    return (np.concatenate([kernel, kind], axis=2) & kept).reshape(len(operations), -1).astype(np.float64)


def _once_for_all(file: Mapping[str, NDArray[np.generic]]) -> NDArray[np.float64]:
    """Of each block its kernel and its expansion (zeros where it is absent), then the resolution."""
    kernel, expansion = file["ks"].astype(np.int64), file["expand"].astype(np.int64)
    place = np.arange(kernel.shape[1])
    there = (place % _BLOCKS < file["depth"].astype(np.int64)[:, place // _BLOCKS])[:, :, None]
    parts = [
        ((kernel[:, :, None] == _KERNELS) & there).reshape(len(kernel), -1),
        ((expansion[:, :, None] == _EXPANSIONS) & there).reshape(len(kernel), -1),
        file["resolution"].astype(np.int64)[:, None] == np.array(_RESOLUTIONS),
    ]
    return np.concatenate(parts, axis=1).astype(np.float64)
