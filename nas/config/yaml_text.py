"""YAML text to plain values, with every slip told."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import yaml

from nas.errors import NasError

_DEEPEST = 100


def parse_yaml(text: str, origin: str) -> dict[str, Any]:
    """Parse YAML text that must be a mapping; a key given twice is refused.

    Raises:
        NasError: no YAML, or no mapping.
    """
    values = parse_value(text, origin)
    if not isinstance(values, dict):
        raise NasError(f"{origin} holds {type(values).__name__}; it must hold sections such as 'space:' and 'data:'")
    return values


def parse_value(text: str, origin: str) -> Any:  # noqa: ANN401 (any YAML value)
    """Parse YAML text that may be any value.

    Raises:
        NasError: no YAML, or nested without end.
    """
    try:
        value = yaml.load(text, _UniqueKeyLoader)  # noqa: S506 (a SafeLoader that also refuses repeated keys)
    except (yaml.YAMLError, AttributeError, TypeError, ValueError, RecursionError) as error:
        # PyYAML passes on what its conversions raise: a date that does not exist, `!!float abc`, nesting without end.
        raise NasError(f"{origin} is not valid YAML: {error}") from error
    if _is_deeper(value, _DEEPEST):
        raise NasError(
            f"{origin} is nested more than {_DEEPEST} deep, as where an alias (*name) lies inside what it stands for; "
            "write the values out"
        )
    return value


def _is_deeper(value: Any, levels: int) -> bool:  # noqa: ANN401 (any YAML value)
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return levels < 0 or any(_is_deeper(item, levels - 1) for item in inner)


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
