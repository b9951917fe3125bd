"""Boosted regression trees as plain arrays: no pickle, and the same predictions under any version of scikit-learn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from sklearn.ensemble import GradientBoostingRegressor

TREE_ARRAYS = ("feature", "threshold", "left", "right", "value")
"""Names of the arrays that trees are kept as."""


def fit_trees(
    matrix: NDArray[np.float64], target: NDArray[np.float64], *, trees: int, learning_rate: float, depth: int, seed: int
) -> dict[str, NDArray[Any]]:
    """Scikit-learn's gradient boosting (Friedman 2001), from a constant 0.

    Each tree sees 70 % of the samples, and each of its nodes 30 % of the features.

    Args:
        matrix: features, shape ``(samples, features)``.
        target: what they stand for, shape ``(samples,)``.
        trees: number of trees.
        learning_rate: share of each tree's answer that is taken.
        depth: of each tree.
        seed: draws what each tree sees.

    Returns:
        ``TREE_ARRAYS``, as ``tree_arrays`` makes them.
    """
    # Only fitting needs scikit-learn, which takes a second to import.
    from sklearn.ensemble import GradientBoostingRegressor  # noqa: PLC0415

    model = GradientBoostingRegressor(
        n_estimators=trees,
        learning_rate=learning_rate,
        max_depth=depth,
        subsample=0.7,
        max_features=0.3,
        init="zero",
        random_state=seed,
    )
    return tree_arrays(model.fit(matrix, target))


def tree_arrays(model: GradientBoostingRegressor) -> dict[str, NDArray[Any]]:
    """Nodes of all trees, padded to one length: each array has shape ``(trees, nodes)``; leaves lead to themselves."""
    trees = [estimator.tree_ for estimator in model.estimators_[:, 0]]
    shape = (len(trees), max(tree.node_count for tree in trees))
    arrays: dict[str, NDArray[Any]] = {
        "feature": np.zeros(shape, np.int64),
        "threshold": np.full(shape, np.inf),
        "left": np.zeros(shape, np.int64),
        "right": np.zeros(shape, np.int64),
        "value": np.zeros(shape),
    }
    for row, tree in enumerate(trees):
        nodes = np.arange(tree.node_count)
        leaf = tree.children_left < 0
        used = slice(tree.node_count)
        arrays["feature"][row, used] = np.where(leaf, 0, tree.feature)
        arrays["threshold"][row, used] = np.where(leaf, np.inf, tree.threshold)
        arrays["left"][row, used] = np.where(leaf, nodes, tree.children_left)
        arrays["right"][row, used] = np.where(leaf, nodes, tree.children_right)
        arrays["value"][row, used] = model.learning_rate * tree.value[:, 0, 0]
    return arrays


def sum_of_trees(matrix: NDArray[np.float64], trees: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
    """Sum of the trees' values for features of shape ``(networks, features)``; shape ``(networks,)``."""
    narrow = matrix.astype(np.float32)  # the precision that scikit-learn compares features with thresholds in
    row = np.arange(len(trees["feature"]))[None, :]
    node = np.zeros((len(matrix), row.shape[1]), np.int64)
    networks = np.arange(len(matrix))[:, None]
    while True:
        goes_left = narrow[networks, trees["feature"][row, node]] <= trees["threshold"][row, node]
        following = np.where(goes_left, trees["left"][row, node], trees["right"][row, node])
        if (following == node).all():
            return np.asarray(trees["value"][row, node].sum(axis=1), np.float64)
        node = following
