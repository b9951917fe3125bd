"""YAML text to plain values, with every slip told."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from nas.errors import NasError

_DEEPEST = 100
_MOST_VALUES = 100_000
_MOST_CHARACTERS = 10_000_000


def parse_yaml(text: str, origin: str) -> dict[str, Any]:
    """Parse YAML text that must be a mapping; a key given twice is refused.

    Raises:
        NasError: no YAML, or no mapping.
    """
    values = parse_value(text, origin)
    if values is None:
        raise NasError(f"{origin} is empty; it must hold sections such as 'space:' and 'data:'")
    if not isinstance(values, dict):
        raise NasError(f"{origin} holds {type(values).__name__}; it must hold sections such as 'space:' and 'data:'")
    return values


def parse_value(text: str, origin: str) -> Any:  # noqa: ANN401 (any YAML value)
    """Parse YAML text that may be any value.

    Raises:
        NasError: no YAML, nested without end, or with aliases that stand for more than anybody means.
    """
    try:
        loader = _UniqueKeyLoader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            _check(_extent(node, {}), origin)
            return loader.construct_document(node)
        finally:
            loader.dispose()
    except (yaml.YAMLError, AttributeError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
        # PyYAML passes on what its conversions raise: a date that does not exist, `!!float abc`, nesting without end.
        raise NasError(f"{origin} is not valid YAML: {error}") from error


@dataclass(frozen=True)
class _Extent:
    """What a part of a text comes to with every alias written out.

    Attributes:
        values: in it, keys and itself included.
        characters: of all plain values.
        levels: of values inside values.
    """

    values: int
    characters: int
    levels: float


def _extent(node: yaml.Node, known: dict[int, _Extent]) -> _Extent:
    """The extent of a node; ``known`` holds those of nodes, by their identity, so that each is looked at once."""
    if id(node) not in known:
        known[id(node)] = _Extent(0, 0, math.inf)  # what an alias finds that lies inside what it stands for
        inner = [_extent(each, known) for each in _inside(node)]
        known[id(node)] = _Extent(
            1 + sum(each.values for each in inner),
            len(node.value) if isinstance(node, yaml.ScalarNode) else sum(each.characters for each in inner),
            max((1 + each.levels for each in inner), default=0),
        )
    return known[id(node)]


def _inside(node: yaml.Node) -> Sequence[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return node.value if isinstance(node, yaml.SequenceNode) else ()


def _check(extent: _Extent, origin: str) -> None:
    if extent.levels > _DEEPEST:
        raise NasError(
            f"{origin} is nested more than {_DEEPEST} deep, as where an alias (*name) lies inside what it stands for; "
            "write the values out"
        )
    if extent.values > _MOST_VALUES or extent.characters > _MOST_CHARACTERS:
        raise NasError(
            f"{origin} holds more than {_MOST_VALUES} values, or {_MOST_CHARACTERS} characters, with every alias "
            "(*name) written out; leave out what is not needed"
        )


class _UniqueKeyLoader(yaml.SafeLoader):
    """YAML's safe loader; a key that is given twice in one mapping is an error, not the last one's win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                told = "merging with '<<' is not supported; write the keys out"
                raise yaml.constructor.ConstructorError(None, None, told, key_node.start_mark)
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable):  # the parent refuses what is not
                if key in seen:
                    raise yaml.constructor.ConstructorError(None, None, f"key {key!r} is given twice", node.start_mark)
                seen.add(key)
        return super().construct_mapping(node, deep)
