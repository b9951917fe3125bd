"""A round of confirming: which networks are measured, by which predictions they were chosen, and what came of these."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latency_predictors import LatencyPredictor
from nas.candidate import Candidate
from nas.files import write_json
from nas.objective import Problem
from nas.stages.context import Context
from nas.stages.contradictions import COVERAGE, Compared, contradictions
from nas.stages.expecting import failures

Row = dict[str, Any]

FOLDER = ("confirm", "rounds")


@dataclass(frozen=True)
class Round:
    """What one round measures, and why.

    Attributes:
        number: from 1, the searched front.
        finalists: networks to measure, with what is predicted of each.
        predictors: what they were chosen by, for each target that has one.
        refitted: by target what fitting anew came to; empty in the first round.
        judged: candidates that were judged for it; the search itself does not count.
    """

    number: int
    finalists: Sequence[Candidate]
    predictors: Mapping[str, LatencyPredictor]
    refitted: Mapping[str, Row] = field(default_factory=dict)
    judged: int = 0


@dataclass(frozen=True)
class Verdict:
    """What measuring said of a round's predictions.

    Attributes:
        compared: predicted and measured latencies.
        broken: by network the limits that it was expected to keep and does not, in words.
        contradicted: what cannot be explained by known errors and chance, a sentence each.
    """

    compared: Sequence[Compared]
    broken: Mapping[str, str]
    contradicted: Sequence[str]


def judge(context: Context, now: Round, rows: Sequence[Row]) -> Verdict:
    """Hold the predictions of a round against what was measured in it.

    Args:
        context: the run.
        now: the round.
        rows: of ``confirm_finalists``, of this round alone.
    """
    compared: list[Compared] = []
    contradicted: list[str] = []
    for target, predictor in now.predictors.items():
        of_target = _compare(context, target, predictor, rows)
        compared += of_target
        contradicted += contradictions(of_target, _errors(predictor), _coverage(predictor))
    broken = {row["key"]: why for row in rows if (why := _broken(context.config.problem, row))}
    contradicted += [
        f"network {key} was expected to keep {why} and does not, as measured" for key, why in broken.items()
    ]
    return Verdict(compared, broken, contradicted)


def record(
    context: Context, now: Round, verdict: Verdict, *, entered: Sequence[str], quality: Mapping[str, Row]
) -> None:
    """Write what a round came to into ``confirm/rounds``.

    Args:
        context: the run.
        now: the round.
        verdict: what measuring said of it.
        entered: networks that are new on the measured front.
        quality: how good the measurements are, by target.
    """
    row = {
        "round": now.number,
        "judged": now.judged,
        "refitted": dict(now.refitted),
        "members": [member.arch.key for member in now.finalists],
        "compared": [one.to_json() for one in verdict.compared],
        "broken": dict(verdict.broken),
        "contradicted": list(verdict.contradicted),
        "entered": list(entered),
        "quality": dict(quality),
    }
    write_json(context.path(*FOLDER, str(now.number), "round.json"), row)


def _compare(context: Context, target: str, predictor: LatencyPredictor, rows: Sequence[Row]) -> list[Compared]:
    metric = next(t.metric for t in context.targets if t.name == target)
    measured = [row for row in rows if metric in row["metrics"]]
    networks = [context.space.lower(context.architecture(row)) for row in measured]
    ends = predictor.predict_interval(networks, _coverage(predictor))
    return [
        Compared(row["key"], target, row["predicted"][metric]["value"], low, high, row["metrics"][metric]["value"])
        for row, low, high in zip(measured, *(end.tolist() for end in ends), strict=True)
    ]


def _errors(predictor: LatencyPredictor) -> NDArray[np.float64]:
    held_out = predictor.held_out_
    assert held_out is not None  # noqa: S101 (predictors of a run are checked)
    return np.log(held_out.measured_s / held_out.predicted_s)


def _coverage(predictor: LatencyPredictor) -> float:
    """As much of the intervals as the held-out networks support."""
    count = len(_errors(predictor))
    return min(COVERAGE, count / (count + 1))


def _broken(problem: Problem, row: Row) -> str:
    """The limits that a network breaks as measured and was expected to keep."""
    if failures(row):
        return ""
    promised, found = Candidate.from_json({**row, "metrics": row["predicted"]}), Candidate.from_json(row)
    kept = [x for x in problem.limits if x.metric in promised.metrics and x.violation(promised) == 0]
    return "; ".join(limit.describe() for limit in kept if limit.violation(found) > 0)
