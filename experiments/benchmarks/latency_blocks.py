"""The published tables' networks as the spaces here lower them, and a look-up table of their blocks.

Cells of NAS-Bench-201 are lowered without what is off their paths, so cells that differ only in that are one network.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from latency_predictors import feature_matrix
from latency_predictors.cost_model import smallest_prediction
from latency_predictors.table import count_blocks, learn_blocks
from search_spaces import Architecture, Network, get_space
from search_spaces.layerwise import LayerwiseSpace
from search_spaces.nasbench201 import NASBench201Space

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

_WIDTH = 1.2  # of the table's once-for-all networks


@dataclass(frozen=True)
class Blocks:
    """Every network of a table.

    Attributes:
        matrix: features, shape ``(networks, features)``.
        counts: how often each has each block, shape ``(networks, blocks)``.
        sums: what each block adds to the features that are sums.
    """

    matrix: Floats
    counts: Floats
    sums: Floats

    def predict(self, measured: Ints, latencies_s: Floats) -> Floats:
        """Seconds of every network from some measured ones, as ``BlockTablePredictor`` has them."""
        weights, seconds = learn_blocks(self.matrix[measured], self.counts[measured], self.sums, latencies_s)
        return np.asarray(np.maximum(self.counts @ seconds + weights[-1], smallest_prediction(latencies_s)), np.float64)


@lru_cache(maxsize=1)
def load_blocks(folder: Path, table: str) -> Blocks:
    """Blocks of a table, by its name."""
    with np.load(folder / f"{table}.npz", allow_pickle=False) as file:
        lowered: dict[tuple[int, ...], int] = {}
        networks: list[Network] = []
        rows = []
        space = get_space({"fbnet": "fbnet_32", "ofa_mbv3": "mobilenetv3"}.get(table, table))
        for arch in _ARCHITECTURES[table](file):
            choices = space.canonical(arch).choices
            if choices not in lowered:
                lowered[choices] = len(networks)
                networks.append(space.lower(arch))
            rows.append(lowered[choices])
    _, counts, sums = count_blocks(networks)
    return Blocks(feature_matrix(networks)[rows], counts[rows], sums)


def _cells(file: Mapping[str, NDArray[np.generic]]) -> Iterator[Architecture]:
    space = get_space("nasbench201")
    assert isinstance(space, NASBench201Space)
    yield from (space.from_string(text) for text in file["arch_str"].tolist())


def _fbnet(file: Mapping[str, NDArray[np.generic]]) -> Iterator[Architecture]:
    space, names = get_space("fbnet_32"), file["op_names"].tolist()
    assert isinstance(space, LayerwiseSpace)
    yield from (space.with_candidates(tuple(names[kind] for kind in row)) for row in file["op_idx"].tolist())


def _once_for_all(file: Mapping[str, NDArray[np.generic]]) -> Iterator[Architecture]:
    space = get_space("mobilenetv3")
    columns = (file[name].tolist() for name in ("resolution", "ks", "expand", "depth"))
    for resolution, kernels, expansions, depths in zip(*columns, strict=True):
        taken: dict[str, int | float | str] = {"resolution": resolution, "width": _WIDTH}
        for stage, depth in enumerate(depths):
            taken[f"stages.{stage}.depth"] = depth
            for block in range(len(kernels) // len(depths)):
                place = stage * (len(kernels) // len(depths)) + block
                taken[f"stages.{stage}.blocks.{block}.kernel"] = kernels[place]
                taken[f"stages.{stage}.blocks.{block}.expansion"] = expansions[place]
        yield space.from_options(taken)


_ARCHITECTURES = {"nasbench201": _cells, "fbnet": _fbnet, "ofa_mbv3": _once_for_all}
