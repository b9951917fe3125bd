"""Architectures as rows of option indices, and rows as keys that can be hashed, sorted and written to JSON."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from nas.errors import NasError
from search_spaces import Architecture, SearchSpace, SpaceError

Indices: TypeAlias = NDArray[np.int64]
"""Option indices of architectures, shape ``(architectures, decisions)``."""


def rows_of(space: SearchSpace, archs: Sequence[Architecture]) -> Indices:
    """Canonical option indices of architectures.

    Raises:
        NasError: an architecture that does not belong to the space.
    """
    try:
        for arch in archs:
            space.validate(arch)
    except SpaceError as error:
        raise NasError(f"a searcher was given an architecture it cannot use: {error}") from error
    return space.canonical_indices(space.indices(archs))


def row_keys(rows: Indices) -> list[bytes]:
    """One hashable value for every row."""
    data = np.ascontiguousarray(rows, np.dtype("<u2"))
    return cast("list[bytes]", data.view(np.dtype((np.void, 2 * data.shape[1]))).reshape(-1).tolist())


def rows_of_keys(keys: Sequence[bytes], decisions: int) -> Indices:
    """The rows that ``row_keys`` made values of."""
    return np.frombuffer(b"".join(keys), np.dtype("<u2")).reshape(len(keys), decisions).astype(np.int64)


def pack(keys: Sequence[bytes]) -> str:
    """Row keys as one string, for a state that ``json`` writes."""
    return base64.b64encode(b"".join(keys)).decode()


def unpack(text: str, decisions: int) -> list[bytes]:
    """What ``pack`` made a string of."""
    data, width = base64.b64decode(text, validate=True), 2 * decisions
    if len(data) % width:
        raise ValueError(f"{len(data)} bytes are not a whole number of rows of {width}")
    return [data[start : start + width] for start in range(0, len(data), width)]


def pack_floats(values: NDArray[np.float64]) -> str:
    """Numbers as one string, exact and with infinities, for a state that ``json`` writes."""
    return base64.b64encode(np.ascontiguousarray(values, "<f8").tobytes()).decode()


def unpack_floats(text: str, *shape: int) -> NDArray[np.float64]:
    """What ``pack_floats`` made a string of; one length of the shape may be -1."""
    return np.frombuffer(base64.b64decode(text, validate=True), "<f8").reshape(shape).astype(np.float64)
