"""Confirm: build the members of the searched front as files, measure each on every target and judge the files.

What a predictor promised is not a result. The confirmed front holds what was measured; and where that contradicts what
was promised, the predictors learn from it, the search goes on, and what it finds is measured too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nas.candidate import Candidate, latency_metric
from nas.errors import NasError, UnreachableError
from nas.files import write_json
from nas.fleet import FLEET, with_fleet
from nas.objective import explain_infeasible
from nas.pareto import ParetoFront
from nas.stages.context import Context
from nas.stages.correcting import Corrector, first_round
from nas.stages.expecting import failures
from nas.stages.finalists import confirm_finalists
from nas.stages.fronts import searched_views, shared_views, united
from nas.stages.rounds import Round, Verdict, judge, record

Row = dict[str, Any]


def run(context: Context) -> None:
    """Confirm the members of the searched front, and correct it where they are not what they were predicted to be.

    Raises:
        NasError: no network could be measured on every target and keeps every limit.
    """
    corrector, now = Corrector(context), first_round(context)
    rows: list[Row] = []
    qualities: list[Mapping[str, Row]] = []
    while True:
        before = _on_fronts(context, rows)
        made, quality = confirm_finalists(context, now.finalists, context.rng("confirm", *_later(now.number)))
        rows += made
        qualities.append(quality)
        verdict = judge(context, now, made)
        entered = [key for key in _on_fronts(context, rows) if key not in before]
        record(context, now, verdict, entered=entered, quality=quality)
        stopped = _reason_to_stop(context, now, verdict, entered)
        if stopped is not None:
            break
        for line in verdict.contradicted:
            context.progress.note(f"confirm: {line}")
        context.progress.note(f"confirm: predictors learn from what was measured; round {now.number + 1}")
        try:
            now = corrector.next_round(now.number + 1, rows)
        except UnreachableError as error:
            stopped = str(error)
            break
    context.progress.note(f"confirm: {stopped}")
    result = {**_select(context, rows, stopped), "quality": qualities[0], "rounds": len(qualities), "stopped": stopped}
    write_json(context.run.result("confirm"), result)


def _later(number: int) -> tuple[str | int, ...]:
    """What sets the randomness of a round apart from that of the first."""
    return () if number == 1 else ("round", number)


def _reason_to_stop(context: Context, now: Round, verdict: Verdict, entered: Sequence[str]) -> str | None:
    """Why there is no further round; None where there is to be one."""
    most = context.config.confirm.rounds
    if now.number == 1 and not verdict.contradicted:
        return "measurements do not contradict what was predicted"
    if now.number > 1 and not now.finalists:
        return f"round {now.number} expects nothing new on the front"
    if now.number > 1 and not entered:
        return f"nothing that round {now.number} measured is on the front"
    if now.number > most:
        return f"predictions were corrected {most} times, as confirm.rounds allows" if most else "correcting is off"
    return None


def _usable(rows: Sequence[Row]) -> list[Candidate]:
    return [Candidate.from_json(row) for row in rows if not failures(row)]


def _on_fronts(context: Context, rows: Sequence[Row]) -> list[str]:
    """Networks that no other beats as measured, on any of the fronts that the run is for."""
    candidates = _usable(rows)
    views = searched_views(context.config, context.config.problem)
    return [member.arch.key for member in united(view.front(candidates) for view in views)]


def _select(context: Context, rows: Sequence[Row], stopped: str) -> Row:
    """The confirmed front, the members that others beat, and those that were dropped and why; the fronts of targets.

    Raises:
        NasError: the front is empty.
    """
    problem = context.config.problem
    usable = {row["key"]: row for row in rows if not failures(row)}
    dropped = [{**row, "why": "; ".join(why)} for row in rows if (why := failures(row))]
    candidates = _usable(rows)
    best = [member.arch.key for member in ParetoFront.of(candidates, problem)]
    if not best:
        reasons = [explain_infeasible(candidates, problem)] if usable else [row["why"] for row in dropped]
        raise NasError(f"the confirmed front is empty: {'; '.join(reasons)} ({stopped})")
    feasible = [candidate.arch.key for candidate in problem.feasible(candidates)]
    for candidate in candidates:
        if candidate.arch.key not in feasible:
            broken = [limit.describe() for limit in problem.limits if limit.violation(candidate) > 0]
            told = f"as measured it breaks the limit {'; '.join(broken)}"
            dropped.append({**usable[candidate.arch.key], "why": told})
    fronts = _fronts(context, candidates)
    for row in dropped:
        names = [name for name, keys in fronts["members"].items() if row["key"] in keys]
        if context.config.fleet is not None and names:
            context.progress.note(f"network {row['key']} is on the front of {' and '.join(names)} alone: {row['why']}")
        else:
            context.progress.warn(f"network {row['key']} was dropped: {row['why']}")
    context.progress.note(f"confirm: {len(best)} networks on the front, {len(dropped)} dropped")
    return {
        **problem.to_json(),
        "targets": {target.name: target.describe() for target in context.targets},
        "members": [usable[key] for key in best],
        "dominated": [usable[key] for key in feasible if key not in best],
        "dropped": dropped,
        "fronts": fronts,
    }


def _fronts(context: Context, candidates: Sequence[Candidate]) -> Row:
    """For each target of several, and for the fleet, the networks that no other beats there, best first."""
    config = context.config
    views = shared_views(config, config.problem)
    fronts: Row = {"members": {view.name: [one.arch.key for one in view.front(candidates)] for view in views}}
    if config.fleet is not None:
        weights, how = config.fleet_weights, config.fleet.how
        latencies = {one.arch.key: with_fleet(one, weights, how).value(latency_metric(FLEET)) for one in candidates}
        fronts["fleet"] = {"how": how, "weights": weights, "latencies_s": latencies}
    return fronts
