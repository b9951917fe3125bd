"""Search: propose architectures, judge them in the supernet and by the latency predictors, keep what none beats."""

from __future__ import annotations

from nas.errors import NasError
from nas.files import write_json
from nas.objective import explain_infeasible
from nas.pareto import ParetoFront
from nas.stages.context import Context
from nas.stages.evaluators import make_evaluator
from nas.stages.fit import fitted_predictors
from nas.stages.history import History, make_searcher


def run(context: Context) -> None:
    """Search until the planned number of candidates is judged.

    Raises:
        NasError: a limit that no network can meet, or no candidate that keeps every limit.
    """
    config, section = context.config, context.config.search
    searcher = make_searcher(config, context.rng("search"))
    history = History(context.path("search"))
    judged = history.resume(searcher)
    context.progress.start("search", section.evaluations, "candidate", done=len(judged))
    with context.ledger() as ledger:
        evaluator = make_evaluator(context, fitted_predictors(context), ledger)
        while len(judged) < section.evaluations:
            count = min(section.batch, section.evaluations - len(judged))
            archs = searcher.ask(count)
            if not archs:
                context.progress.note(f"search: every one of the space's {len(judged)} networks is judged")
                break
            candidates = []
            for arch in archs:
                candidates += evaluator.evaluate([arch])
                context.progress.advance()
            searcher.tell(candidates)
            history.append(candidates, searcher.state())
            judged += candidates
    front = ParetoFront.of(judged, config.problem)
    if not front.members:
        raise NasError(explain_infeasible(judged, config.problem))
    context.progress.note(f"search: {len(front)} of {len(judged)} candidates on the front")
    write_json(context.run.result("search"), front.to_json())
