"""The table and the claims of the benchmark of latency predictors, from its rows of single runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

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
    """The figures asked for, as far as there are runs of our method. It measures the networks it chose."""
    table: dict[tuple[str, str, int | None], Row] = {}
    for row in summed_up(rows):  # the mean stands first
        table.setdefault((row["protocol"], row["method"], row.get("samples")), row)
    claims = []
    for protocol, targets in TARGETS.items():
        for count, wanted in targets.items():
            if row := table.get((protocol, "ours, chosen", count), {}):
                name = f"Spearman, {protocol}, {count} samples"
                extra = {"seeds": row["seeds"], "spread": row["spearman_spread"]}
                claims.append(Claim(name, row["spearman"], "", wanted, "higher", **extra))
    for protocol, wanted in _ERRORS.items():
        if row := table.get((protocol, "ours, chosen", 10), {}):
            claims.append(Claim(f"MAPE, {protocol}, 10 samples", row["mape"], "", wanted, "lower"))
    covered = [row["coverage_90"] for key, row in table.items() if key[1] == "ours, chosen" and key[2] in (10, 20)]
    if not covered:
        return claims
    seconds = [row["adapt_seconds"] for row in rows if row["samples"] == 10 and "adapt_seconds" in row]
    fits, rates = ([row[key] for row in rows if key in row] for key in ("fit_seconds", "rate"))
    claims += [
        Claim("coverage of 90 % intervals, mean over protocols", float(np.mean(covered)), "", 0.87, "higher"),
        Claim("coverage of 90 % intervals, at most", float(np.mean(covered)), "", 0.93, "lower"),
        Claim("fitting the slowest fleet, CPU time", max(fits), "s", 60, "lower"),
        Claim("adapting to 10 measurements, CPU time", float(np.median(seconds)), "s", 0.2, "lower"),
        Claim("networks predicted in a second", min(rates), "", 1e5, "higher"),
    ]
    leads = _leads(table)
    return (
        [*claims, Claim("largest lead of any other method over ours", max(leads), "", 0.0, "lower")]
        if leads
        else claims
    )


def _leads(table: Mapping[tuple[str, str, int | None], Row]) -> list[float]:
    """By how much other rows of the same protocol and count are better; papers' rows against 10 or 20."""
    leads = []
    for (protocol, method, count), row in table.items():
        if method in ("ours", "ours, chosen", CEILING):
            continue
        samples = count if count is not None else (10 if "HELP" in method else 20)
        ours = table.get((protocol, "ours, chosen" if samples else "ours", samples))
        if ours:
            leads.append(row["spearman"] - ours["spearman"])
    return leads
