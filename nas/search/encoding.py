"""One-hot encodings of many rows at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nas.search.rows import Indices
from search_spaces import SearchSpace


def one_hot(space: SearchSpace, rows: Indices) -> NDArray[np.float32]:
    """One column for every option of every decision, 1 where it is taken and matters.

    Args:
        space: what the rows belong to.
        rows: canonical rows, shape ``(architectures, decisions)``.

    Returns:
        Shape ``(architectures, sum of option counts)``.
    """
    counts = space.option_counts
    encoded = np.zeros((len(rows), int(counts.sum())), np.float32)
    np.put_along_axis(encoded, rows + (np.cumsum(counts) - counts), space.active(rows).astype(np.float32), axis=1)
    return encoded
