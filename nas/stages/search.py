"""Search: propose architectures, judge them by predictors and in the supernet, keep what none beats."""

from __future__ import annotations

from nas.candidate import ACCURACY
from nas.distributed.evaluation import evaluating
from nas.errors import NasError
from nas.files import write_json
from nas.objective import explain_infeasible
from nas.pareto import ParetoFront
from nas.stages.context import Context
from nas.stages.evaluators import cheap_judge, make_evaluator
from nas.stages.fit import fitted_predictors
from nas.stages.history import History, make_searcher
from nas.stages.screening import make_screening


def run(context: Context) -> None:
    """Search until the planned number of candidates is judged.

    Raises:
        NasError: a limit that no network can meet, or no candidate that keeps every limit.
    """
    config, section = context.config, context.config.search
    searcher = make_searcher(config, context.rng("search"))
    history = History(context.path("search"))
    # Predicted accuracies are kept beside those found, but nothing goes on from them.
    judged = [candidate for candidate in history.resume(searcher) if candidate.source(ACCURACY) != "predicted"]
    context.progress.start("search", section.evaluations, "candidate", done=len(judged))
    with context.ledger() as ledger, evaluating(context) as accuracies:
        evaluator = make_evaluator(context, fitted_predictors(context), ledger, accuracies)
        screening = make_screening(context, cheap_judge(evaluator))
        while len(judged) < section.evaluations:
            count = min(section.batch, section.evaluations - len(judged))
            rng = context.rng("search", "others", len(judged))
            chosen = screening.propose(judged, count, rng) if screening else None
            archs = chosen.archs if chosen else searcher.ask(count)
            if not archs:
                context.progress.note(f"search: every one of the space's {len(judged)} networks is judged")
                break
            candidates = evaluator.evaluate(archs, context.progress.advance)
            searcher.tell(candidates)
            history.append([*(chosen.predicted if chosen else ()), *candidates], searcher.state())
            judged += candidates
    front = ParetoFront.of(judged, config.problem)
    if not front.members:
        raise NasError(explain_infeasible(judged, config.problem))
    context.progress.note(f"search: {len(front)} of {len(judged)} candidates on the front")
    write_json(context.run.result("search"), front.to_json())
