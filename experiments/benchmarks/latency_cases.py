"""Protocols of the published tables, ready to run: those with the same devices and known networks together."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from latency_tables import Protocol, Splits, Table, load_table
from numpy.typing import NDArray

from latency_predictors import score
from latency_predictors.few_shot import Encoded, Fleet

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Row: TypeAlias = dict[str, Any]

COUNTS = (5, 10, 20, 50)
FINE = ("all.pairs",)
POOL_SHARE = 0.5  # of the source networks, drawn for every seed, that chosen ones are chosen from
TABLES = ("nasbench201", "fbnet", "ofa_mbv3")
_QUICK_SOURCE, _QUICK_STEP, _QUICK_COUNTS = 120, 10, (10, 20)


@dataclass(frozen=True)
class Case:
    """A family of protocols.

    Attributes:
        folder: of the published tables.
        quick: a short run, with rough figures.
    """

    protocols: tuple[Protocol, ...]
    table: Table
    folder: Path
    quick: bool = False

    @property
    def name(self) -> str:
        """The family's name."""
        return self.protocols[0].family

    @property
    def devices(self) -> Sequence[str]:
        """Devices to predict."""
        return self.protocols[0].test[:1] if self.quick else self.protocols[0].test

    @property
    def counts(self) -> Sequence[int]:
        """Numbers of measurements, besides none."""
        return _QUICK_COUNTS if self.quick else COUNTS

    @property
    def source(self) -> Ints:
        """Networks that known devices were measured on."""
        return self.protocols[0].source

    def known_s(self, devices: Sequence[str]) -> Floats:
        """Latencies of known devices, shape ``(networks, devices)``."""
        return np.stack([self.table.of(device) for device in devices], axis=1)

    @cached_property
    def fleet(self) -> Fleet:
        """Our predictor's known devices."""
        return self._fitted[0]

    @property
    def fit_seconds(self) -> float:
        """CPU time that learning them took."""
        return self._fitted[1]

    @cached_property
    def encoded(self) -> Encoded:
        """All networks as our predictor sees them."""
        return self.fleet.encode(self.table.description, self.table.quantities)

    @cached_property
    def _fitted(self) -> tuple[Fleet, float]:
        start = time.process_time()
        description, source = self.table.description, self.source
        quantities = {key: values[source] for key, values in self.table.quantities.items()}
        fine = [group for group, _ in description.groups if group in FINE]
        latencies = self.known_s(self.protocols[0].train)[source]
        fleet = Fleet.fit(description.take(source), quantities, latencies, fine=fine)
        return fleet, time.process_time() - start

    def random(self, seed: int) -> Ints:
        """Networks to measure, drawn from the source."""
        return self._drawn(seed)[1]

    def chosen(self, seed: int) -> Ints:
        """Networks to measure, the most telling first, of half the source."""
        candidates = self.source[self._drawn(seed)[0]]
        return candidates[self.fleet.choose(self.encoded.take(candidates), max(COUNTS))]

    def _drawn(self, seed: int) -> tuple[Ints, Ints]:
        rng = np.random.default_rng(seed)
        count = len(self.source)
        candidates = np.sort(rng.choice(count, int(POOL_SHARE * count), replace=False))
        return candidates, self.source[rng.permutation(count)[: max(COUNTS)]]

    def judged(self, protocol: Protocol, device: str, measured: Ints) -> Ints:
        """Networks that predictions are scored on: those of the protocol that were not measured."""
        return np.setdiff1d(protocol.judged(self.table.of(device)), measured)

    def scored(
        self, device: str, method: str, measured: Ints, seed: int, predicted: Floats, *, only_ranks: bool = False
    ) -> Iterator[Row]:
        """A row for each protocol, by predictions for every network of the table."""
        for protocol in self.protocols:
            judged = self.judged(protocol, device, measured)
            scores = asdict(score(predicted[judged], self.table.of(device)[judged]))
            if only_ranks:
                scores = {key: scores[key] for key in ("spearman", "kendall")}
            name = f"ofa {device}" if protocol.name == "ofa" else protocol.name
            about = {"protocol": name, "device": device, "method": method, "samples": len(measured), "seed": seed}
            yield about | scores


def cases(folder: Path, wanted: Sequence[str], *, quick: bool = False) -> Iterator[Case]:
    """The families of the wanted protocols, named by family or by protocol; of all where none is named.

    Raises:
        ValueError: a name that no protocol has.
    """
    tables = {name: load_table(folder, name) for name in TABLES}
    families: dict[str, list[Protocol]] = defaultdict(list)
    for protocol in Splits(folder).protocols({name: len(table.macs) for name, table in tables.items()}):
        families[protocol.family].append(_thinned(protocol) if quick else protocol)
    names = {name: family for family, group in families.items() for name in (family, *(entry.name for entry in group))}
    _check(wanted, names)
    chosen = {names[name] for name in wanted} or set(families)
    for family, group in families.items():
        if family in chosen:
            yield Case(tuple(group), tables[group[0].table], folder, quick)


def _thinned(protocol: Protocol) -> Protocol:
    return replace(protocol, source=protocol.source[:_QUICK_SOURCE], scored=protocol.scored[::_QUICK_STEP])


def _check(wanted: Sequence[str], names: Mapping[str, str]) -> None:
    unknown = [name for name in wanted if name not in names]
    if unknown:
        raise ValueError(f"there is no protocol {unknown}; there are {list(names)}")
