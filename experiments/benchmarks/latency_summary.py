"""The table and the claims of the benchmark of latency predictors, from its rows of single runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

import numpy as np
from common import Claim
from latency_cases import Row
from latency_methods import CEILING

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
_ERRORS = {"fbnet trimmed": 0.03, "fbnet all": 0.03, "nasbench201 trimmed": 0.05}
Cell: TypeAlias = tuple[str, str, int | None]
"""Protocol, method, and number of measurements; None of what papers print."""
_SCORES = ("spearman", "kendall", "mape", "within_10_percent", "coverage_90")


def summed_up(rows: Sequence[Row]) -> list[Row]:
    """Rows of protocol, method and count: of every device, and first of their mean; then what papers print.

    A spread is the standard deviation over seeds: of a device's correlation, or of the mean over devices.
    """
    cells: dict[tuple[str, str, int], dict[str, dict[int, Row]]] = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        cells[row["protocol"], row["method"], row["samples"]][row["device"]][row["seed"]] = row
    found = []
    for (protocol, method, samples), devices in sorted(cells.items()):
        about = {"protocol": protocol, "method": method, "samples": samples}
        own = [about | {"device": device} | _over_seeds(list(runs.values())) for device, runs in devices.items()]
        if len(own) > 1:
            found.append(about | {"device": "mean"} | _over_devices(list(devices.values()), own))
        found += own
    shown = {row["protocol"] for row in found}
    for protocol, (method, value) in PUBLISHED.items():
        if protocol in shown:
            found.append({"protocol": protocol, "device": "mean", "method": method, "spearman": value})
    return found


def _over_seeds(runs: Sequence[Row]) -> Row:
    row: Row = {key: float(np.mean([run[key] for run in runs])) for key in _SCORES if key in runs[0]}
    row |= {"spearman_spread": float(np.std([run["spearman"] for run in runs])), "seeds": len(runs)}
    if "unlike_any" in runs[0]:
        row["called_unlike"] = float(np.mean([run["unlike_any"] for run in runs]))
    return row


def _over_devices(devices: Sequence[Mapping[int, Row]], means: Sequence[Row]) -> Row:
    """Means of devices' means. Their spread is over the seeds that every device has."""
    row: Row = {key: float(np.mean([mean[key] for mean in means])) for key in _SCORES if key in means[0]}
    seeds = set.intersection(*(set(runs) for runs in devices))
    each = [np.mean([runs[seed]["spearman"] for runs in devices]) for seed in sorted(seeds)]
    return row | {"spearman_spread": float(np.std(each)) if each else 0.0, "seeds": len(seeds)}


def claims_of(rows: Sequence[Row]) -> list[Claim]:
    """The figures asked for, and how many of them there are no runs of. Our method measures the networks it chose."""
    table: dict[Cell, Row] = {}
    for row in summed_up(rows):  # the mean stands first
        table.setdefault((row["protocol"], row["method"], row.get("samples")), row)
    own = {(key[0], key[2]): row for key, row in table.items() if key[1] == "ours, chosen" and key[2]}
    if not own:
        return []
    asked = [
        (f"Spearman, {p}, {n} samples", p, n, "spearman", x) for p, wanted in TARGETS.items() for n, x in wanted.items()
    ]
    asked += [(f"MAPE, {protocol}, 10 samples", protocol, 10, "mape", wanted) for protocol, wanted in _ERRORS.items()]
    claims = []
    for name, protocol, count, score, wanted in asked:
        if row := own.get((protocol, count)):
            spread = row["spearman_spread"] if score == "spearman" else None
            better: Literal["higher", "lower"] = "higher" if score == "spearman" else "lower"
            claims.append(Claim(name, row[score], "", wanted, better, seeds=row["seeds"], spread=spread))
    claims.append(
        Claim("correlations and errors asked for that were not run", len(asked) - len(claims), "", 0, "lower")
    )
    return [*claims, *_intervals(own), *_costs(rows), *_leads(table, own)]


def _intervals(own: Mapping[tuple[str, int | None], Row]) -> list[Claim]:
    """Coverage in the worst case: too wide in one protocol does not make up for too narrow in another."""
    cells = [row for (_, count), row in own.items() if count in (10, 20)]
    if not cells:
        return []
    covered, seeds = [row["coverage_90"] for row in cells], min(row["seeds"] for row in cells)
    name = "coverage of 90 % intervals, the {} of protocols at 10 and 20 samples"
    return [
        Claim(name.format("least"), min(covered), "", 0.87, "higher", seeds=seeds),
        Claim(name.format("most"), max(covered), "", 0.93, "lower", seeds=seeds),
    ]


def _costs(rows: Sequence[Row]) -> list[Claim]:
    adapting = [row["adapt_seconds"] for row in rows if row["samples"] == 10 and "adapt_seconds" in row]
    fits, rates = ([row[key] for row in rows if key in row] for key in ("fit_seconds", "rate"))
    return [
        Claim("fitting the slowest fleet, CPU time", max(fits), "s", 60, "lower"),
        Claim("adapting to 10 measurements, CPU time", float(np.median(adapting)), "s", 0.2, "lower"),
        Claim("networks predicted in a second", min(rates), "", 1e5, "higher"),
    ]


def _leads(table: Mapping[Cell, Row], own: Mapping[tuple[str, int | None], Row]) -> list[Claim]:
    """By how much the best other row of the same protocol and count is better; papers' rows against 10 or 20."""
    leads = []
    for (protocol, method, count), row in table.items():
        if method in ("ours", "ours, chosen", CEILING):
            continue
        samples = count if count is not None else (10 if "HELP" in method else 20)
        ours = own.get((protocol, samples)) if samples else table.get((protocol, "ours", 0))
        if ours:
            leads.append((row["spearman"] - ours["spearman"], f"{method}, {protocol}, {samples} samples"))
    if not leads:
        return []
    lead, where = max(leads)
    return [Claim(f"largest lead of any other row over ours ({where})", lead, "", 0.0, "lower")]
