"""How candidates are proposed, judged and kept, batch by batch: in the search, and where confirming searches on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nas.candidate import ACCURACY, Candidate
from nas.errors import NasError
from nas.evaluate import CompositeEvaluator
from nas.objective import Problem
from nas.search import SharedOptunaSearcher
from nas.stages.context import Context
from nas.stages.evaluators import made_of
from nas.stages.history import History, make_searcher
from nas.stages.latencies import MeasuredLatencies
from nas.stages.screening import make_screening
from nas.stages.together import search_together
from search_spaces import Architecture


def search_on(
    context: Context,
    evaluator: CompositeEvaluator,
    latencies: MeasuredLatencies | None,
    folder: Sequence[str],
    *,
    evaluations: int,
    problem: Problem | None = None,
    known: Sequence[Candidate] = (),
    first: Sequence[Architecture] = (),
    on_batch: Callable[[Sequence[Candidate]], None] = lambda _judged: None,
) -> list[Candidate]:
    """Judge a number of candidates that nobody has judged, or go on where an earlier process stopped.

    Args:
        context: the run.
        evaluator: judges them.
        latencies: measures what the evaluator does not predict; None where it predicts everything.
        folder: parts of the path in the run directory, the stage first, where the history is kept; randomness has
            their name.
        evaluations: how many to judge; fewer where the space has no more.
        problem: what to search for; what the config asks for if left out.
        known: candidates to go on from.
        first: what to judge before anything is asked for.
        on_batch: told of all that was judged here, at the beginning and after each batch that is kept.

    Returns:
        What was judged here, in order, or in a shared study by any of its processes; predicted accuracies are kept
        beside in the history, nothing goes on from them.

    Raises:
        NasError: a history that does not belong to this search, a shared study whose candidates would have to be
            measured, or what the evaluator or the measuring raises.
    """
    section, progress = context.config.search, context.progress
    stored = problem is None and section.options.get("storage") is not None
    if stored and section.options.get("shared") and latencies is not None:
        raise NasError(
            "search.options.shared is true, and a latency predictor failed its check: processes that measure every "
            "candidate would disturb one another on the device; leave out shared, or profile more networks"
        )
    judged_by = made_of(context) if stored else ()
    searcher = make_searcher(context.config, context.rng(*folder), problem, judged_by=judged_by)
    if known:
        searcher.tell(known)
    history = History(context.path(*folder), folder[0])
    judged = found_by(history.resume(searcher))
    label = "search" if folder[0] == "search" else f"{folder[0]}: search"
    if isinstance(searcher, SharedOptunaSearcher):
        return search_together(
            context, searcher, evaluator, history, judged, evaluations=evaluations, first=first, on_batch=on_batch
        )
    progress.start(label, evaluations, "candidate", done=len(judged))
    on_batch(judged)
    screening = make_screening(context, evaluator.cheap if latencies is None else None, folder, problem)
    told = {candidate.arch.key for candidate in (*known, *judged)}
    ahead = [arch for arch in first if arch.key not in told]
    while len(judged) < evaluations:
        count = min(section.batch, evaluations - len(judged))
        rng = context.rng(*folder, "others", len(judged))
        archs, ahead = ahead[:count], ahead[count:]
        chosen = screening.propose([*known, *judged], count, rng) if screening and not archs else None
        archs = archs or (chosen.archs if chosen else searcher.ask(count))
        if not archs:
            progress.note(f"search: every one of the space's {len(known) + len(judged)} networks is judged")
            break
        candidates = evaluator.evaluate(archs, progress.advance)
        if latencies is not None:
            candidates = latencies.add(candidates)
        searcher.tell(candidates)
        history.append([*(chosen.predicted if chosen else ()), *candidates], searcher.state())
        judged += candidates
        on_batch(judged)
    return judged


def found_by(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Those whose accuracy is not merely predicted."""
    return [candidate for candidate in candidates if candidate.source(ACCURACY) != "predicted"]
