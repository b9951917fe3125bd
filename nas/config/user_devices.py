"""Devices that users define in ``devices.yaml``: a name for a backend with its options.

.. code-block:: yaml

    devices:
      - name: pixel7
        backend: android
        options: {serial: 28161FDH2000XX, benchmark_model: ~/bin/benchmark_model, cores: [6, 7]}

A config names them in ``targets[].device``. What it uses is copied into it, so that a run directory says by itself what
its devices were, and a later change of the file is noticed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from devices import DeviceError, device_names
from devices.paths import user_path
from nas.config.booleans import told_as_text
from nas.config.errors import explain
from nas.config.section import Section
from nas.config.targets import DeviceSection
from nas.config.yaml_text import parse_yaml
from nas.errors import NasError

FILE_NAME = "devices.yaml"


class _DevicesFile(Section):
    devices: tuple[DeviceSection, ...]


def user_devices(path: Path | None = None) -> dict[str, DeviceSection]:
    """Devices of users, by name.

    Args:
        path: the file that defines them; where left out, ``devices.yaml`` in the working directory and then in the
            user's own config directory are read, as far as they are there. The nearer one wins.

    Raises:
        NasError: a file that cannot be read or is no list of devices; the message names every key at fault.
    """
    places = [path] if path is not None else [place for place in reversed(default_places()) if place.is_file()]
    return {device.name: device for place in places for device in _read(place)}


def default_places() -> tuple[Path, ...]:
    """Where ``devices.yaml`` is looked for, the nearest first."""
    configs = os.environ.get("XDG_CONFIG_HOME", "")
    base = Path(configs) if Path(configs).is_absolute() else Path.home() / ".config"
    return Path(FILE_NAME), base / "hwnas" / FILE_NAME


def with_user_devices(values: Mapping[str, Any]) -> dict[str, Any]:
    """A config's values with the definitions of the devices that its targets name.

    ``devices`` may be the path of a file instead of the definitions themselves. Values that are not of the expected
    kind are left to the checks of the config.

    Raises:
        NasError: a file of devices that cannot be read.
    """
    given = values.get("devices")
    own = given if isinstance(given, list | tuple) else ()
    if isinstance(given, str):
        known = user_devices(user_path(given))
    elif (given is None or own is given) and _unknown(values, own):
        known = user_devices()
    else:
        return dict(values)
    used = [known[name].model_dump(mode="json") for name in sorted(_unknown(values, own)) if name in known]
    return {**values, "devices": [*own, *used]}


def _unknown(values: Mapping[str, Any], given: Sequence[Any]) -> set[str]:
    """Devices that targets name and that are neither registered nor defined."""
    targets = values.get("targets")
    rows = [row for row in targets if isinstance(row, Mapping)] if isinstance(targets, list | tuple) else []
    defined = {row["name"] for row in given if isinstance(row, Mapping) and isinstance(row.get("name"), str)}
    named = {row["device"] for row in rows if isinstance(row.get("device"), str)}
    return named - defined - set(device_names())


def _read(path: Path) -> tuple[DeviceSection, ...]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:  # ValueError: no UTF-8, or a name that no file can have
        raise NasError(
            f"the devices of {path} cannot be read ({error}); give a YAML file with a list under 'devices:', each with "
            "a name, a backend and its options"
        ) from error
    try:
        found = _DevicesFile.model_validate(told_as_text(parse_yaml(text, str(path)), _DevicesFile)).devices
    except ValidationError as error:
        raise NasError(explain(error, _DevicesFile, str(path))) from error
    except DeviceError as error:
        raise NasError(f"{path}: {error}") from error
    names = [device.name for device in found]
    for name in names:
        if names.count(name) > 1:
            raise NasError(f"{path}: two devices are named {name!r}; give each its own name")
    return found
