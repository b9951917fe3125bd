"""Measurements of runs as a file of known devices, from which few measurements tell the next device."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from latency_predictors import KnownDevices
from nas.errors import NasError
from nas.files import read_json, reading
from nas.lock import exclusive
from nas.run_directory import RunDirectory
from search_spaces import Architecture

_PATIENCE_S = 60.0


def add_run(path: Path, run_dir: Path) -> KnownDevices:
    """Add what a run measured in its profile to a file of known devices, made if it is not there.

    Every target is a device under its own name; measurements of a device that is in the file already are added to it.

    Args:
        path: the file.
        run_dir: a run whose profile is done.

    Raises:
        NasError: no such run, no profile in it, or another process holds the file.
        PredictorError: a file that cannot be read.
    """
    run = RunDirectory(run_dir)
    run.require("profile", needed_by="fleet")
    space = run.config.make_space()
    with reading(run.result("profile")):
        rows = [row for row in read_json(run.result("profile"))["rows"] if row["error"] is None]
        choices = {str(row["key"]): tuple(row["choices"]) for row in rows}
        architectures = [Architecture(space.name, taken) for taken in choices.values()]
        for arch in architectures:
            space.validate(arch)
        latencies = _by_device(rows, list(choices))
    if not rows:
        raise NasError(f"every measurement in {run_dir} failed; there is nothing to add to {path}")
    networks = [space.lower(arch) for arch in architectures]
    with exclusive(path.with_name(f".{path.name}.lock"), patience_s=_PATIENCE_S):  # another run may be adding to it
        known = KnownDevices.load(path) if path.exists() else KnownDevices.none()
        extended = known.extended(networks, latencies)
        extended.save(path)
    return extended


def _by_device(rows: list[dict[str, Any]], keys: list[str]) -> dict[str, list[float]]:
    """Median seconds of every network on every device, NaN where it was not measured."""
    place = {key: index for index, key in enumerate(keys)}
    found: dict[str, list[float]] = {}
    for row in rows:
        column = found.setdefault(str(row["target"]), [float(np.nan)] * len(keys))
        column[place[str(row["key"])]] = float(row["median_s"])
    return found
