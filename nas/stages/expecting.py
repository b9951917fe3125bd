"""What is expected of candidates once some were measured, and which of them are worth measuring next."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from statistics import median
from typing import Any

import numpy as np

from nas.candidate import ACCURACY, Candidate
from nas.evaluate import breaks
from nas.objective import Problem
from nas.search.spread import advantage, scale_of
from nas.stages.fronts import View

Row = dict[str, Any]


def failures(row: Row) -> list[str]:
    """Why a confirmed network could not be measured everywhere; empty where it could."""
    return [f"{m['target']} could not measure it: {m['error']}" for m in row["measurements"] if m["error"]]


def spread(members: Sequence[Candidate], count: int | None) -> list[Candidate]:
    """At most ``count`` members at even steps along the front, both ends included."""
    if count is None or count >= len(members):
        return list(members)
    return [members[i] for i in sorted({round(x) for x in np.linspace(0, len(members) - 1, count)})]


def as_files_are(problem: Problem, rows: Sequence[Row]) -> Problem:
    """The problem for accuracies in the supernet, whose limits allow for what the files were found to lose.

    Args:
        problem: as the config poses it, for files.
        rows: networks that were judged as files.
    """
    lost = [
        row["predicted"][ACCURACY]["value"] - row["metrics"][ACCURACY]["value"]
        for row in rows
        if ACCURACY in row["predicted"]
    ]
    loss = median(lost) if lost else 0.0

    def moved(end: float | None) -> float | None:
        return None if end is None else end + loss

    limits = [
        replace(limit, at_most=moved(limit.at_most), at_least=moved(limit.at_least))
        if limit.metric == ACCURACY
        else limit
        for limit in problem.limits
    ]
    return replace(problem, limits=tuple(limits))


def unfit(problem: Problem, rows: Sequence[Row]) -> set[str]:
    """Networks that could not be measured, or whose files are not accurate enough."""
    limits = [limit for limit in problem.limits if limit.metric == ACCURACY]
    return {
        row["key"]
        for row in rows
        if failures(row) or any(limit.violation(Candidate.from_json(row)) > 0 for limit in limits)
    }


def expected(candidates: Sequence[Candidate], rows: Sequence[Row], views: Sequence[View]) -> list[Candidate]:
    """Candidates with measured latencies in the place of predicted ones.

    Left out are those whose accuracy is not known because they seemed to break a limit that they now keep: the search
    may propose these again.

    Args:
        candidates: with latencies as they are predicted now.
        rows: of ``confirm_finalists``.
        views: the fronts to come, whose limits are as ``as_files_are`` gave them.
    """
    measured = {row["key"]: Candidate.from_json(row) for row in rows}
    kept = []
    for candidate in candidates:
        found = measured.get(candidate.arch.key)
        if found is not None:
            latencies = {name: metric for name, metric in found.metrics.items() if metric.source == "measured"}
            candidate = Candidate(candidate.arch, {**candidate.metrics, **latencies})  # noqa: PLW2901
        if ACCURACY in candidate.metrics or all(breaks(candidate, view.base.limits) for view in views):
            kept.append(candidate)
    return kept


def next_finalists(
    view: View, candidates: Sequence[Candidate], measured: Collection[str], count: int | None
) -> list[Candidate]:
    """At most ``count`` members of a front that add most to what is measured, each counted with those before it.

    Args:
        view: the front.
        candidates: with what is expected of each.
        measured: keys of those that were measured.
        count: how many; all if None.
    """
    front = [member for member in view.front(candidates) if member.arch.key not in measured]
    if count is None or count >= len(front):
        return front
    before = view.seen([candidate for candidate in candidates if candidate.arch.key in measured])
    if not before:
        return spread(front, count)
    points, known = (view.problem.scores(part).costs for part in (view.seen(front), before))
    low, span = scale_of(np.concatenate([points, known]))
    points, known = (points - low) / span, (known - low) / span
    chosen: list[int] = []
    for _ in range(count):
        ahead = advantage(points, known)
        ahead[chosen] = -np.inf
        chosen.append(int(ahead.argmax()))
        known = np.concatenate([known, points[chosen[-1:]]])
    return [front[position] for position in sorted(chosen)]
