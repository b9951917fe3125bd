"""Search: propose architectures, judge them by predictors and in the supernet, keep what none beats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nas.candidate import Candidate
from nas.distributed.evaluation import evaluating
from nas.errors import NasError
from nas.files import write_json
from nas.objective import explain_infeasible
from nas.pareto import ParetoFront
from nas.stages.context import Context
from nas.stages.evaluators import make_evaluator
from nas.stages.fit import fitted_predictors
from nas.stages.fronts import shared_views
from nas.stages.latencies import make_latencies
from nas.stages.limits import starting_points
from nas.stages.searching import search_on

FOLDER = ("search",)


def run(context: Context) -> None:
    """Search until the planned number of candidates is judged.

    Raises:
        UnreachableError: limits that no network meets by what is counted and predicted.
        NasError: no candidate keeps every limit.
    """
    config = context.config
    with context.ledger() as ledger, evaluating(context) as accuracies:
        predictors = fitted_predictors(context)
        evaluator = make_evaluator(context, predictors, accuracies)
        latencies = make_latencies(context, predictors, ledger)
        rng, evaluations = context.rng("limits"), config.search.evaluations
        first = starting_points(context.space, config.problem, evaluator.cheap, rng, count=-(-evaluations // 4))
        if first:
            context.progress.note(f"search: few networks keep the limits; it begins with {len(first)} that do")
        judged = search_on(context, evaluator, latencies, FOLDER, evaluations=evaluations, first=first)
    front = ParetoFront.of(judged, config.problem)
    if not front.members:
        raise NasError(explain_infeasible(judged, config.problem))
    context.progress.note(f"search: {len(front)} of {len(judged)} candidates on the front")
    write_json(context.run.result("search"), {**front.to_json(), **_others(context, judged)})


def _others(context: Context, judged: Sequence[Candidate]) -> dict[str, Any]:
    """The fronts of a fleet and of each of its targets; nothing in a run without a fleet."""
    config = context.config
    if config.fleet is None:
        return {}
    fronts = {view.name: view.front(judged) for view in shared_views(config, config.problem)}
    told = ", ".join(f"{len(front)} on that of {name}" for name, front in fronts.items())
    context.progress.note(f"search: {told}")
    return {"fronts": {name: [member.to_json() for member in front] for name, front in fronts.items()}}
