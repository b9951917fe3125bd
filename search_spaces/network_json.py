"""A ``Network`` as JSON values: for files that hold the network itself, not a runtime's spelling of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, get_args

from search_spaces.errors import SpaceError
from search_spaces.network import Network, Node, Operation

_OPERATIONS: dict[str, type] = {operation.__name__: operation for operation in get_args(Operation)}


def network_to_json(network: Network) -> list[dict[str, Any]]:
    """One object a node, in order."""
    return [{**asdict(node), "kind": type(node.op).__name__} for node in network.nodes]


def network_from_json(rows: Sequence[Mapping[str, Any]]) -> Network:
    """The inverse of ``network_to_json``, after JSON has made lists of its tuples.

    Raises:
        SpaceError: something else was given.
    """
    try:
        return Network(tuple(_node(row) for row in rows))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise SpaceError(f"this is not a network as network_to_json writes it: {error!r}") from error


def _node(row: Mapping[str, Any]) -> Node:
    kind = row["kind"]
    if kind not in _OPERATIONS:
        raise ValueError(f"there is no operation {kind!r}")
    op = _OPERATIONS[kind](**{name: _frozen(value) for name, value in row["op"].items()})
    return Node(str(row["name"]), op, tuple(map(str, row["inputs"])), tuple(map(int, row["shape"])), str(row["block"]))


def _frozen(value: Any) -> Any:  # noqa: ANN401 (a field of any operation)
    return tuple(value) if isinstance(value, list) else value
