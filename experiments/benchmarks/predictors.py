"""Latency of devices that nobody has seen, after 0 to 50 measurements: ours against the field on published tables.

Every measurement on the target counts. Networks are measured among those of the source devices and scored on others.
Design choices were made on devices that are in no protocol's test set. HELP and NASFLAT are quoted from their papers.
"""

from __future__ import annotations

import argparse
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from common import ROOT, Claim, arguments, write_results
from latency_baselines import boosting, mix
from latency_tables import Protocol, Splits, Table, load_table
from numpy.typing import NDArray

from latency_predictors import score
from latency_predictors.few_shot import Encoded, Fleet

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

COUNTS = (0, 5, 10, 20, 50)
FEWER_SEEDS = 1
"""Seeds of baselines and of counts that no target is set for; random samples have half of all seeds at 10 and 20."""
FINE = ("all.pairs",)
POOL_SHARE = 0.5  # of the source networks, drawn for every seed, that chosen ones are chosen from
INTERVALS_ON = 250
BASELINE_COUNTS = (10, 20, 50)
PUBLISHED = {
    "nasbench201 trimmed": ("HELP (published, 10 + 10 references)", 0.932),
    "fbnet trimmed": ("HELP (published, 10 + 10 references)", 0.910),
    "ND": ("NASFLAT (published, 20)", 0.959),
    "FD": ("NASFLAT (published, 20)", 0.961),
    "F1": ("NASFLAT (published, 20)", 0.809),
    "F2": ("NASFLAT (published, 20)", 0.871),
    "F3": ("NASFLAT (published, 20)", 0.814),
    "F4": ("NASFLAT (published, 20)", 0.734),
    "FA": ("NASFLAT (published, 20)", 0.577),
}
TARGETS = {
    "nasbench201 trimmed": {10: 0.955, 20: 0.958},
    "nasbench201 all": {10: 0.974, 20: 0.976},
    "fbnet trimmed": {10: 0.962, 20: 0.975},
    "fbnet all": {10: 0.978, 20: 0.984},
    "ofa titan_rtx_1": {10: 0.87, 20: 0.875},
    "ND": {20: 0.975},
    "FD": {20: 0.986},
    "F1": {20: 0.920},
    "F2": {20: 0.970},
    "F3": {20: 0.968},
    "F4": {20: 0.825},
    "FA": {20: 0.80},
}


@dataclass(frozen=True)
class Case:
    """One protocol, ready to run."""

    protocols: tuple[Protocol, ...]
    table: Table
    fleet: Fleet
    encoded: Encoded
    fit_seconds: float


def cases(folder: Path, wanted: list[str], splits: Path) -> Iterator[Case]:
    """Protocols that share a fleet together, so that it is fitted once."""
    tables = {name: load_table(folder, name) for name in ("nasbench201", "fbnet", "ofa_mbv3")}
    groups: dict[tuple[Any, ...], list[Protocol]] = defaultdict(list)
    for protocol in Splits(splits).protocols({name: len(table.macs) for name, table in tables.items()}):
        if not wanted or protocol.name in wanted:
            groups[protocol.table, protocol.train, len(protocol.source), protocol.test].append(protocol)
    for (name, train, *_), protocols in groups.items():
        table, source = tables[name], protocols[0].source
        latencies = np.stack([table.of(device)[source] for device in train], axis=1)
        quantities = {key: values[source] for key, values in table.quantities.items()}
        start = time.process_time()
        fine = [group for group, _ in table.description.groups if group in FINE]
        fleet = Fleet.fit(table.description.take(source), quantities, latencies, fine=fine)
        seconds = time.process_time() - start
        yield Case(tuple(protocols), table, fleet, fleet.encode(table.description, table.quantities), seconds)


def rows_of(case: Case, device: str, seeds: int) -> Iterator[dict[str, Any]]:
    """Scores of every method on one device: a row a protocol, method, count and seed."""
    latencies, source = case.table.of(device), case.protocols[0].source
    pool = case.encoded.take(source)
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        candidates = np.sort(rng.choice(len(source), int(POOL_SHARE * len(source)), replace=False))
        order = {
            "random": rng.permutation(len(source))[: max(COUNTS)],
            "chosen": candidates[case.fleet.choose(pool.take(candidates), max(COUNTS))],
        }
        for way, ordered in order.items():
            for count in _counts(way, seed, seeds):
                yield from _ours(case, device, latencies, source[ordered[:count]], f"ours, {way}", seed)
        for count in BASELINE_COUNTS if seed < FEWER_SEEDS else ():
            yield from _baselines(case, device, latencies, source[order["random"][:count]], seed)
    for protocol in case.protocols:
        judged = protocol.judged(latencies)
        macs = case.table.macs[judged]
        row = asdict(score(macs, latencies[judged]))
        yield _row(protocol, device, "MACs", 0, 0, {"spearman": row["spearman"], "kendall": row["kendall"]})


def _counts(way: str, seed: int, seeds: int) -> list[int]:
    """Numbers of measurements to run with a seed."""
    counts = [0] if (way, seed) == ("chosen", 0) else []
    if seed < FEWER_SEEDS:
        counts += [5, 50]
    if way == "chosen" or seed < max(FEWER_SEEDS, seeds // 2):
        counts += [10, 20]
    return counts


def _ours(  # noqa: PLR0917 (one for each column)
    case: Case, device: str, latencies: Floats, measured: Ints, method: str, seed: int
) -> Iterator[dict[str, Any]]:
    start = time.process_time()
    target = case.fleet.adapt(case.encoded.take(measured), latencies[measured])
    seconds = time.process_time() - start
    predicted = target.predict(case.encoded)
    for protocol in case.protocols:
        judged = protocol.judged(latencies)
        some = judged[:: max(1, len(judged) // INTERVALS_ON)]
        lower, upper = target.interval(case.encoded.take(some))
        inside = float(((lower <= latencies[some]) & (latencies[some] <= upper)).mean())
        scores = asdict(score(predicted[judged], latencies[judged]))
        unlike = target.is_unlike_any
        more = {"coverage_90": inside, "adapt_seconds": seconds, "unlike_any": unlike}
        yield _row(protocol, device, method if len(measured) else "ours", len(measured), seed, scores | more)


def _baselines(case: Case, device: str, latencies: Floats, measured: Ints, seed: int) -> Iterator[dict[str, Any]]:
    methods: dict[str, Callable[[Encoded, Floats, Encoded], Floats]] = {"mix baseline e": mix, "boosting": boosting}
    for method, predict in methods.items():
        predicted = predict(case.encoded.take(measured), latencies[measured], case.encoded)
        for protocol in case.protocols:
            judged = protocol.judged(latencies)
            scores = asdict(score(predicted[judged], latencies[judged]))
            yield _row(protocol, device, method, len(measured), seed, scores)


def _row(  # noqa: PLR0917 (the columns of a row)
    protocol: Protocol, device: str, method: str, count: int, seed: int, scores: dict[str, Any]
) -> dict[str, Any]:
    name = f"ofa {device}" if protocol.name == "ofa" else protocol.name
    return {"protocol": name, "device": device, "method": method, "samples": count, "seed": seed, **scores}


_SCORES = ("spearman", "kendall", "mape", "within_10_percent", "coverage_90")


def summed_up(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row a protocol, method and count: means over devices of means over seeds, and devices' own means."""
    cells: dict[tuple[str, str, int], dict[str, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        cells[row["protocol"], row["method"], row["samples"]][row["device"]].append(row)
    found = []
    for (protocol, method, samples), devices in sorted(cells.items()):
        entry: dict[str, Any] = {"protocol": protocol, "device": "mean", "method": method, "samples": samples}
        per_device = []
        for device, runs in devices.items():
            means = {key: float(np.mean([run[key] for run in runs])) for key in _SCORES if key in runs[0]}
            spread = float(np.std([run["spearman"] for run in runs]))
            unlike = float(np.mean([run.get("unlike_any", False) for run in runs]))
            own = {"protocol": protocol, "device": device, "method": method, "samples": samples, "seeds": len(runs)}
            per_device.append(own | means | {"spearman_spread": spread, "called_unlike": unlike})
        for key in (*_SCORES, "spearman_spread"):
            if key in per_device[0]:
                entry[key] = float(np.mean([row[key] for row in per_device]))
        entry["seeds"] = per_device[0]["seeds"]
        found += [entry, *per_device] if len(per_device) > 1 else per_device
    for protocol, (method, value) in PUBLISHED.items():
        if any(row["protocol"] == protocol for row in rows):
            found.append({"protocol": protocol, "device": "mean", "method": method, "spearman": value})
    return found


def claims_of(rows: list[dict[str, Any]], fits: list[float], seconds: list[float], rate: float) -> list[Claim]:
    """The figures asked for. Ours measures the networks it chose."""
    table = {(row["protocol"], row["method"], row.get("samples")): row for row in rows if row["device"] == "mean"}
    table |= {
        (row["protocol"], row["method"], row.get("samples")): row for row in rows if row["protocol"].startswith("ofa")
    }
    claims = []
    for protocol, targets in TARGETS.items():
        for count, wanted in targets.items():
            row = table.get((protocol, "ours, chosen", count))
            if row:
                name = f"Spearman, {protocol}, {count} samples"
                extra = {"seeds": row["seeds"], "spread": row["spearman_spread"]}
                claims.append(Claim(name, row["spearman"], "", wanted, "higher", **extra))
    for protocol, wanted in (("fbnet trimmed", 0.03), ("fbnet all", 0.03), ("nasbench201 trimmed", 0.05)):
        row = table.get((protocol, "ours, chosen", 10))
        if row:
            claims.append(Claim(f"MAPE, {protocol}, 10 samples", row["mape"], "", wanted, "lower"))
    covered = [row["coverage_90"] for key, row in table.items() if key[1] == "ours, chosen" and key[2] in (10, 20)]
    claims.append(Claim("coverage of 90 % intervals, mean over protocols", float(np.mean(covered)), "", 0.87, "higher"))
    claims.append(Claim("coverage of 90 % intervals, at most", float(np.mean(covered)), "", 0.93, "lower"))
    claims.append(Claim("fitting the slowest fleet, CPU time", max(fits), "s", 60, "lower"))
    claims.append(Claim("adapting to 10 measurements, CPU time", float(np.median(seconds)), "s", 0.2, "lower"))
    claims.append(Claim("networks predicted in a second", rate, "", 1e5, "higher"))
    claims.append(Claim("largest lead of any other method over ours", _largest_lead(table), "", 0.0, "lower"))
    return claims


def _largest_lead(table: dict[tuple[str, str, int | None], dict[str, Any]]) -> float:
    """By how much another row of the same protocol and count is better, at worst; papers' rows against 10 or 20."""
    leads = []
    for (protocol, method, count), row in table.items():
        if method.startswith("ours") and "random" not in method:
            continue
        samples = count if count is not None else (10 if "HELP" in method else 20)
        ours = table.get((protocol, "ours, chosen" if samples else "ours", samples))
        if ours:
            leads.append(row["spearman"] - ours["spearman"])
    return max(leads)


def prediction_rate(case: Case) -> float:
    """Networks predicted in a second of CPU time, from encoded networks, after ten measurements."""
    device = case.protocols[0].test[0]
    measured = case.protocols[0].source[:10]
    target = case.fleet.adapt(case.encoded.take(measured), case.table.of(device)[measured])
    start = time.process_time()
    for _ in range(5):
        target.predict(case.encoded)
    return 5 * len(case.encoded) / (time.process_time() - start)


def default_data() -> Path:
    """Where the tables are looked for."""
    return Path(os.environ.get("HWNAS_DATA", ROOT.parent / "shared" / "data")) / "latency"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=default_data(), help="folder of the published tables")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--protocols", nargs="*", default=[], help="only these (default: all)")
    options = arguments(__file__, __doc__ or "", parser)
    data: Path = options.extra.data
    if not (data / "device_splits.json").is_file():
        print(f"skipped: {data.name} holds no tables; give their folder with --data or HWNAS_DATA")
        return
    wanted, seeds = options.extra.protocols, options.extra.seeds
    if options.quick:
        wanted, seeds = wanted or ["fbnet trimmed"], 1
    rows: list[dict[str, Any]] = []
    fits, rates = [], []
    for case in cases(data, wanted, data):
        fits.append(case.fit_seconds)
        rates.append(prediction_rate(case))
        for device in case.protocols[0].test:
            rows += rows_of(case, device, seeds)
            print(case.protocols[-1].name, device, _shown(rows, case.protocols[-1].name, device), flush=True)
        # After every case, as what is done should not be lost.
        seconds = [row["adapt_seconds"] for row in rows if row["samples"] == 10 and "adapt_seconds" in row]
        table = summed_up(rows)
        write_results(options, table, claims_of(table, fits, seconds, min(rates)))


def _shown(rows: list[dict[str, Any]], protocol: str, device: str) -> str:
    told = []
    for method in ("MACs", "mix baseline e", "boosting", "ours, random", "ours, chosen"):
        for count in (0, 10, 20):
            found = [
                row["spearman"]
                for row in rows
                if row["protocol"].split()[0] == protocol.split(maxsplit=1)[0]
                and (row["device"], row["method"], row["samples"]) == (device, method, count)
            ]
            if found:
                told.append(f"{method} {count}: {np.mean(found):.3f}")
    return ", ".join(told)


if __name__ == "__main__":
    main()
