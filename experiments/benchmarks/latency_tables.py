"""Published latency tables as arrays a predictor can read, and the protocols that papers score predictors by.

A table holds milliseconds; everything here is seconds. What a network asks of a device is described in groups of
physical features, computed from its encoding alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from latency_fbnet import fbnet_groups
from latency_nasbench201 import nasbench201_groups
from latency_ofa import ofa_groups
from numpy.typing import NDArray

from latency_predictors.few_shot import Description, Quantities

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

_GROUPS = {"nasbench201": nasbench201_groups, "fbnet": fbnet_groups, "ofa_mbv3": ofa_groups}
_HELP_NAMES = {"nasbench201": "nasbench201", "fbnet": "fbnet", "ofa_mbv3": "ofa"}
_HELP_SOURCE = 900
_HELP_SCORED = slice(900, 1900)
_NASFLAT_SOURCE = 800


@dataclass(frozen=True)
class Table:
    """One published table.

    Attributes:
        name: of its space.
        devices: names.
        latencies_s: shape ``(networks, devices)``.
        description: features of every network in groups.
        quantities: work by which networks differ on any device, such as MACs; each is a virtual device.
        macs: multiply-accumulates as the table's authors count them, shape ``(networks,)``.
        references: the networks that HELP measures on every device.
    """

    name: str
    devices: tuple[str, ...]
    latencies_s: Floats
    description: Description
    quantities: Quantities
    macs: Floats
    references: Ints

    def of(self, device: str) -> Floats:
        """Latencies of one device, shape ``(networks,)``."""
        return self.latencies_s[:, self.devices.index(device)]


def load_table(folder: Path, name: str) -> Table:
    """Read a table from the folder that holds the three of them."""
    with np.load(folder / f"{name}.npz", allow_pickle=False) as file:
        groups, quantities, macs = _GROUPS[name](file)
        return Table(
            name=name,
            devices=tuple(file["device"].tolist()),
            latencies_s=1e-3 * file["latency_ms"].astype(np.float64),
            description=Description.of(groups),
            quantities=quantities,
            macs=macs,
            references=file["help_ref_arch_idx"].astype(np.intp),
        )


@dataclass(frozen=True)
class Protocol:
    """Which devices and networks are learnt from, measured and scored.

    Attributes:
        name: as in the papers.
        table: name of its table.
        train: devices known beforehand.
        test: devices met with a few measurements.
        valid: known devices that models are chosen on; only HELP uses them.
        source: networks that the train devices were measured on; the target's few are chosen among them.
        scored: networks that predictions are scored on, in the order of the table; never measured.
        trimmed: leave out the tenth that is slowest on the target, and the tenth that is fastest, as HELP does.
    """

    name: str
    table: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    valid: tuple[str, ...]
    source: Ints
    scored: Ints
    trimmed: bool = False

    @property
    def family(self) -> str:
        """Name that protocols with the same devices and known networks share."""
        return self.name.split()[0]

    def judged(self, latencies_s: Floats) -> Ints:
        """Networks that a device is scored on, by its latencies."""
        if not self.trimmed:
            return self.scored
        order = self.scored[np.argsort(latencies_s[self.scored], kind="stable")]
        tenth = len(order) // 10
        return np.sort(order[tenth : len(order) - tenth])


class Splits:
    """The device splits of HELP and NASFLAT, from ``device_splits.json``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @cached_property
    def _devices(self) -> Mapping[str, Mapping[str, Mapping[str, Sequence[str]]]]:
        read: Mapping[str, Mapping[str, Mapping[str, Sequence[str]]]] = json.loads(
            (self._folder / "device_splits.json").read_text()
        )
        return read

    def protocols(self, counts: Mapping[str, int]) -> Iterator[Protocol]:
        """Every protocol of the benchmark; ``counts`` are the networks of each table."""
        for name in ("nasbench201", "fbnet"):
            parts = self._devices["HELP"][name]
            source, scored = np.arange(_HELP_SOURCE), np.arange(_HELP_SCORED.start, _HELP_SCORED.stop)
            rest = np.arange(_HELP_SOURCE, counts[name])
            devices = tuple(parts["train"]), tuple(parts["test"]), tuple(parts["valid"])
            yield Protocol(f"{name} trimmed", name, *devices, source, scored, trimmed=True)
            yield Protocol(f"{name} all", name, *devices, source, rest)
        parts = self._devices["HELP"]["ofa"]
        source, rest = np.arange(_HELP_SOURCE), np.arange(_HELP_SOURCE, counts["ofa_mbv3"])
        test = (*parts["test"], "titan_rtx_1")
        valid = tuple(device for device in parts["valid"] if device not in test)
        yield Protocol("ofa", "ofa_mbv3", tuple(parts["train"]), test, valid, source, rest)
        for task, parts in self._devices["NASFLAT"].items():
            name = "nasbench201" if task.startswith("N") else "fbnet"
            source, rest = np.arange(_NASFLAT_SOURCE), np.arange(_NASFLAT_SOURCE, counts[name])
            # NASFLAT's authors ran HELP with the validation devices of its own split that a task leaves over.
            taken = {*parts["train"], *parts["test"]}
            valid = tuple(device for device in self._devices["HELP"][name]["valid"] if device not in taken)
            yield Protocol(task, name, tuple(parts["train"]), tuple(parts["test"]), valid, source, rest)
