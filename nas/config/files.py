"""Configs as YAML text: read with every error told, changed from the command line, written, compared."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from devices import DeviceError
from latency_predictors import PredictorError
from nas.config.booleans import told_as_text
from nas.config.errors import explain
from nas.config.sections import Config
from nas.config.user_devices import with_user_devices
from nas.config.yaml_text import parse_value, parse_yaml
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
        example = "give a YAML file such as those in experiments/configs/"
        raise NasError(f"config {path} cannot be read ({error}); {example}") from error
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
    values = with_user_devices(values)
    try:
        return Config.model_validate(told_as_text(dict(values), Config))
    except ValidationError as error:
        raise NasError(explain(error, Config, origin)) from error
    except (NasError, DeviceError, PredictorError, SpaceError, SupernetError) as error:
        raise NasError(f"{origin}: {error}") from error


def dump_yaml(config: Config) -> str:
    """The config as YAML text, defaults filled in; ``load_config`` reads it back to an equal config."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)


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
    value = parse_value(text, f"--set {override!r}: the value")
    if isinstance(here, list):
        here[_position(here, last, override)] = value
    elif isinstance(here, dict):
        here[last] = value
    else:
        raise NasError(f"--set {override!r}: {last!r} lies inside a plain value; give the path of a key")


def _position(items: list[Any], text: str, override: str) -> int:
    if not re.fullmatch("[0-9]{1,9}", text) or int(text) >= len(items):
        raise NasError(f"--set {override!r}: {text!r} is no position in a list of {len(items)}; count from 0")
    return int(text)
