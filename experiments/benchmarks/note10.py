"""Once-for-all's search problem on a Samsung Note 10: its accuracy predictor and its block latencies, in numpy.

An architecture is a row of option indices of ``note10_space()``. The file, ``ofa/note10_problem.npz``, is not part of
the repository.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from search_spaces import SearchSpace, get_space

STAGES, BLOCKS, KERNELS, EXPANSIONS = 5, 4, 3, 3
_KERNEL_FEATURES, _EXPANSION_FEATURES = 0, STAGES * BLOCKS * KERNELS


def note10_space(problem: Path) -> SearchSpace:
    """Once-for-all's MobileNetV3 at the problem's resolutions and width 1.0."""
    with np.load(problem) as stored:
        return get_space("mobilenetv3", {"resolutions": stored["resolution_options"].tolist(), "widths": [1.0]})


class Note10:
    """Accuracy (0 to 1) and latency (ms) of architectures.

    Args:
        problem: ``note10_problem.npz``.
        space: what ``note10_space`` gives.
    """

    def __init__(self, problem: Path, space: SearchSpace) -> None:
        with np.load(problem) as stored:
            layers = range(4)
            self._weights = [np.ascontiguousarray(stored[f"weight_{j}"].T) for j in layers]
            self._biases = [stored[f"bias_{j}"] for j in layers]
            self._resolution_feature = stored["resolution_feature"]
            self._base_ms = stored["latency_base_ms"]
            self._block_ms = stored["latency_block_ms"]
            self._depths = stored["depth_options"]
        column = {decision.name: index for index, decision in enumerate(space.decisions)}
        blocks = [f"stages.{stage}.blocks.{block}" for stage in range(STAGES) for block in range(BLOCKS)]
        self._resolution = column["resolution"]
        self._depth = [column[f"stages.{stage}.depth"] for stage in range(STAGES)]
        self._kernel = [column[f"{block}.kernel"] for block in blocks]
        self._expansion = [column[f"{block}.expansion"] for block in blocks]

    def evaluate(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Accuracy and latency (ms), shape ``(architectures,)`` each, of rows of option indices."""
        resolution = rows[:, self._resolution]
        kernel, expansion = rows[:, self._kernel], rows[:, self._expansion]
        depth = self._depths[rows[:, self._depth]]
        active = np.tile(np.arange(BLOCKS), STAGES) < np.repeat(depth, BLOCKS, axis=1)
        block = np.arange(STAGES * BLOCKS)
        milliseconds = self._block_ms[resolution[:, None], block, kernel, expansion]
        latency = self._base_ms[resolution] + np.where(active, milliseconds, 0.0).sum(axis=1)
        features = np.zeros((len(rows), len(self._weights[0])), np.float32)
        each = np.arange(len(rows))
        features[each[:, None], _KERNEL_FEATURES + KERNELS * block + kernel] = active
        features[each[:, None], _EXPANSION_FEATURES + EXPANSIONS * block + expansion] = active
        features[each, self._resolution_feature[resolution]] = 1
        return self._accuracy(features), latency

    def _accuracy(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        for weight, bias in zip(self._weights[:-1], self._biases[:-1], strict=True):
            x = x @ weight
            x += bias
            np.maximum(x, 0, out=x)
        return (x @ self._weights[-1] + self._biases[-1])[:, 0].astype(np.float64)


def largest_errors(evaluator: Note10, reference: Path, space: SearchSpace) -> tuple[float, float]:
    """Largest differences from what the official code gives: accuracy (0 to 1) and latency (ms)."""
    with np.load(reference) as stored:
        options = {name: np.asarray(stored[f"{name}_index"]) for name in ("resolution", "kernel", "expand", "depth")}
        accuracy, latency = stored["accuracy"], stored["latency_ms"]
    rows = np.zeros((len(accuracy), len(space.decisions)), np.int64)
    for index, decision in enumerate(space.decisions):
        words = decision.name.split(".")
        if decision.name == "resolution":
            rows[:, index] = options["resolution"]
        elif words[-1] == "depth":
            rows[:, index] = options["depth"][:, int(words[1])]
        elif words[-1] in ("kernel", "expansion"):
            option = "kernel" if words[-1] == "kernel" else "expand"
            rows[:, index] = options[option][:, BLOCKS * int(words[1]) + int(words[3])]
    found, milliseconds = evaluator.evaluate(space.canonical_indices(rows))
    return float(np.abs(found - accuracy).max()), float(np.abs(milliseconds - latency).max())
