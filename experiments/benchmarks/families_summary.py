"""What the comparison with hand-made families comes to: leads, speed-ups, claims, charts and a table."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from common import Claim, markdown

from nas.report.chart import Axis, Chart, Point, Series

OURS = "front"
Row = dict[str, Any]


def family_of(name: str) -> str:
    """The family of a network: its name without the width, ``OURS`` for members of the front."""
    return OURS if name.startswith(f"{OURS}-") else re.sub(r"_[\d.]+$", "", name)


def compared(rows: Sequence[Mapping[str, Any]]) -> list[Row]:
    """The rows, those of hand-made networks with ``lead_points`` and ``speed_up``.

    ``lead_points`` is how much more accurate the front's best member is that is no slower, on the same target; None
    where none is. ``speed_up`` is how many times faster the fastest member is that is no less accurate; None where none
    is. Which member that is, validation images say; test images only judge it, or of several members of about the same
    accuracy the luckiest would stand for the front. A speed-up counts where the member is no less accurate on both.
    """
    found = []
    for row in rows:
        if row["family"] == OURS:
            found.append(dict(row))
            continue
        ours = [one for one in rows if one["family"] == OURS and one["target"] == row["target"]]
        as_fast = [one for one in ours if one["latency_ms"] <= row["latency_ms"]]
        as_good = [one for one in ours if one["validation_accuracy"] >= row["validation_accuracy"]]
        best = max(as_fast, key=lambda one: float(one["validation_accuracy"]), default=None)
        quick = min(as_good, key=lambda one: float(one["latency_ms"]), default=None)
        lead = None if best is None else 100 * (best["test_accuracy"] - row["test_accuracy"])
        holds = quick is not None and quick["test_accuracy"] >= row["test_accuracy"]
        found.append(
            {**row, "lead_points": lead, "speed_up": row["latency_ms"] / quick["latency_ms"] if holds else None}
        )
    return found


def claims_of(rows: Sequence[Row]) -> list[Claim]:
    """The figures asked for on each target, of ``compared`` rows.

    A hand-made network that is faster than the whole front counts against it. At latencies in between, the member that
    stands for the front only changes for one that is better on validation images.
    """
    claims = []
    for target in dict.fromkeys(row["target"] for row in rows):
        others = [row for row in rows if row["target"] == target and row["family"] != OURS]
        leads = [row["lead_points"] for row in others if row["lead_points"] is not None]
        behind = sum(lead < 0 for lead in leads) + len(others) - len(leads)
        speed_ups = [row["speed_up"] for row in others if row["speed_up"] is not None]
        name = f"hand-made networks more accurate than the front at their INT8 latency, of {len(others)}, {target}"
        claims.append(Claim(name, behind, "networks", 0, "lower"))
        if leads:
            name = f"smallest lead in accuracy over a hand-made network at its INT8 latency, {target}"
            claims.append(Claim(name, min(leads), "points", 0, "higher"))
        name = f"largest speed-up over a hand-made network at its accuracy, {target}"
        claims.append(Claim(name, max(speed_ups, default=0.0), "times", 1.5, "higher"))
    return claims


def charts(rows: Sequence[Row]) -> list[Chart]:
    """Accuracy over latency on each target: the front's members, and a line for each family."""
    made = []
    for target in dict.fromkeys(row["target"] for row in rows):
        here = [row for row in rows if row["target"] == target]
        families = [name for name in dict.fromkeys(row["family"] for row in here) if name != OURS]
        series = [Series("The front, not retrained", "dot", _points(here, OURS), colour=0)]
        for colour, family in enumerate(families, 1):
            points = _points(here, family)
            series.append(Series(f"{family}, trained alone", "line", points, colour=colour))
            series.append(Series("", "cross", points, colour=colour))
        made.append(
            Chart(
                name=target,
                title=f"The front and hand-made families, {target}",
                x=Axis("Latency, median of one image (ms)", log=True),
                y=Axis("Accuracy on test images (%)"),
                series=tuple(series),
            )
        )
    return made


def _points(rows: Sequence[Row], family: str) -> tuple[Point, ...]:
    points = [Point(row["latency_ms"], 100 * row["test_accuracy"]) for row in rows if row["family"] == family]
    return tuple(sorted(points, key=lambda point: point.x))


def table(rows: Sequence[Row]) -> str:
    """Every network on every target, the fastest first, in Markdown."""
    headings = ["Network", "Target", "MACs", "Latency (ms)", "Accuracy", "Lead (points)", "Speed-up"]
    lines = []
    for row in sorted(rows, key=lambda row: (row["target"], row["latency_ms"])):
        lead, speed_up = row.get("lead_points"), row.get("speed_up")
        lines.append(
            [
                row["network"],
                row["target"],
                f"{row['macs'] / 1e6:.2f} M",
                f"{row['latency_ms']:.3f}",
                f"{100 * row['test_accuracy']:.2f} %",
                "–" if lead is None else f"{lead:+.2f}",
                "–" if speed_up is None else f"{speed_up:.2f}",
            ]
        )
    return markdown(headings, lines)
