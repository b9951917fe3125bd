"""Reads the fronts of a run with several targets: of each alone, and of single networks for a fleet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import get_args

from nas.candidate import ACCURACY, Candidate, latency_metric
from nas.fleet import How
from nas.report.results import Row, as_text
from nas.report.values import Fleet, Shared


def read_fleet(confirmed: Row) -> Fleet | None:
    """How the latency over the fleet is made; none where there is no fleet."""
    row = confirmed.get("fronts", {}).get("fleet")
    if row is None:
        return None
    if row["how"] not in get_args(How):
        raise ValueError(f"the fleet's latency is {row['how']!r}")
    return Fleet(row["how"], {name: float(weight) for name, weight in row["weights"].items()})


def read_shared(confirmed: Row, names: Mapping[str, str], targets: list[str]) -> Iterator[Shared]:
    """Every network that was measured on all of several targets, the most accurate first.

    Args:
        confirmed: result of the confirm stage, empty before it, or of an earlier version without such fronts.
        names: what networks are called, by their keys; others go by the first letters of theirs.
        targets: names of the targets.
    """
    fronts = confirmed.get("fronts", {"members": {}})
    members, fleet = fronts["members"], fronts.get("fleet", {"latencies_s": {}})["latencies_s"]
    rows = [row for part in ("members", "dominated", "dropped") for row in confirmed.get(part, ())] if members else []
    measured = [row for row in rows if all(measurement["error"] is None for measurement in row["measurements"])]
    for candidate in sorted(map(Candidate.from_json, measured), key=lambda c: -c.value(ACCURACY)):
        key = candidate.arch.key
        yield Shared(
            key=key,
            name=names.get(key, key[:8]),
            accuracy=candidate.value(ACCURACY),
            latency_s={target: candidate.value(latency_metric(target)) for target in targets},
            fleet_s=float(fleet[key]) if fleet else None,
            fronts=tuple(as_text(front) for front, keys in members.items() if key in keys),
        )
