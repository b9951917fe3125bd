"""Configs as YAML text: read with every error told, changed from the command line, written, compared."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from devices import DeviceError
from latency_predictors import PredictorError
from nas.config.booleans import told_as_text
from nas.config.errors import explain
from nas.config.sections import Config
from nas.errors import NasError
from search_spaces import SpaceError
from supernet import SupernetError


def comparable(config: Config) -> dict[str, Any]:
    """What two configs must share to be the same run: all but the place of the images, which may be moved.

    That the images themselves are the same is checked through the digest in ``split.json``.
    """
    values: dict[str, Any] = config.model_dump(mode="json")
    values["data"].pop("path", None)
    return values


def load_config(path: Path, *, data: Path | None = None, overrides: Sequence[str] = ()) -> Config:
    """Read a config file.

    Args:
        path: YAML file.
        data: where the images are; takes the place of ``data.path``.
        overrides: ``section.key=value`` texts that take the place of values in the file; values are YAML.

    Raises:
        NasError: the file is missing or no YAML, or does not describe a run; the message names every key at fault.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise NasError(f"config {path} cannot be read ({error}); give a YAML file such as those in configs/") from error
    values = parse_yaml(text, str(path))
    for override in overrides:
        _override(values, override)
    if data is not None:
        section = values.setdefault("data", {})
        if isinstance(section, dict):
            section["path"] = str(data)
    return make_config(values, str(path))


def make_config(values: Mapping[str, Any], origin: str = "config") -> Config:
    """Check plain values, as read from YAML, and make the config.

    Raises:
        NasError: the values do not describe a run; the message names every key at fault.
    """
    try:
        return Config.model_validate(told_as_text(dict(values), Config))
    except ValidationError as error:
        raise NasError(explain(error, Config, origin)) from error
    except (NasError, DeviceError, PredictorError, SpaceError, SupernetError) as error:
        raise NasError(f"{origin}: {error}") from error


def dump_yaml(config: Config) -> str:
    """The config as YAML text, defaults filled in; ``load_config`` reads it back to an equal config."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)


def parse_yaml(text: str, origin: str) -> dict[str, Any]:
    """Parse YAML text that must be a mapping; a key given twice is refused.

    Raises:
        NasError: no YAML, or no mapping.
    """
    values = _parse(text, origin)
    if not isinstance(values, dict):
        raise NasError(f"{origin} holds {type(values).__name__}; it must hold sections such as 'space:' and 'data:'")
    return values


def _parse(text: str, origin: str) -> Any:  # noqa: ANN401 (any YAML value)
    try:
        return yaml.load(text, _UniqueKeyLoader)  # noqa: S506 (a SafeLoader that also refuses repeated keys)
    except (yaml.YAMLError, AttributeError, TypeError, ValueError, RecursionError) as error:
        # PyYAML passes on what its conversions raise: a date that does not exist, `!!float abc`, nesting without end.
        raise NasError(f"{origin} is not valid YAML: {error}") from error


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


def _override(values: dict[str, Any], override: str) -> None:
    """Set ``a.b.c=value`` in nested mappings and lists."""
    path, equals, text = override.partition("=")
    if not equals or not path:
        raise NasError(f"--set {override!r} is not understood; write it as section.key=value, e.g. train.epochs=3")
    *parents, last = path.split(".")
    here: Any = values
    for part in parents:
        if isinstance(here, list):
            here = here[_position(here, part, override)]
        elif isinstance(here, dict):
            if here.get(part) is None:
                here[part] = {}
            here = here[part]
        else:
            raise NasError(f"--set {override!r}: {part!r} lies inside a plain value; give the path of a key")
    value = _parse(text, f"--set {override!r}: the value")
    if isinstance(here, list):
        here[_position(here, last, override)] = value
    elif isinstance(here, dict):
        here[last] = value
    else:
        raise NasError(f"--set {override!r}: {last!r} lies inside a plain value; give the path of a key")


def _position(items: list[Any], text: str, override: str) -> int:
    if not text.isdigit() or int(text) >= len(items):
        raise NasError(f"--set {override!r}: {text!r} is no position in a list of {len(items)}; count from 0")
    return int(text)
