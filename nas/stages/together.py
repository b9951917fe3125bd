"""A search that several processes do together, each in its own run directory, on one study in a storage."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

from nas.candidate import Candidate
from nas.evaluate import CompositeEvaluator
from nas.search import SharedOptunaSearcher
from nas.stages.context import Context
from nas.stages.history import History
from search_spaces import Architecture

_POLL_S: Final = 1.0
"""How often a process that has nothing to judge looks whether the others are done."""


def search_together(
    context: Context,
    searcher: SharedOptunaSearcher,
    evaluator: CompositeEvaluator,
    history: History,
    judged: Sequence[Candidate],
    *,
    evaluations: int,
    first: Sequence[Architecture],
    on_batch: Callable[[Sequence[Candidate]], None],
) -> list[Candidate]:
    """Judge candidates together with other processes until the study has a number of them.

    What others judge is kept in the history as well, so every process ends with all of the study. What a process that
    is gone has left is judged by those that live, and waited for where they are at it.

    Args:
        context: the run.
        searcher: on the study.
        evaluator: judges candidates.
        history: of this run directory.
        judged: what it holds.
        evaluations: how many candidates the study is to have, whoever judges them.
        first: what is to be judged before anything is sampled, by whoever comes to it.
        on_batch: told of all that is in the history, at the beginning and whenever it grows.

    Returns:
        The candidates of the study, in the order in which this process came to know them; fewer where the space has no
        more.
    """
    found = {candidate.arch.key: candidate for candidate in judged}
    progress, batch = context.progress, context.config.search.batch
    progress.start(f"search (study {searcher.study!r}, all processes)", evaluations, "candidate", done=len(found))
    on_batch(list(found.values()))
    here, waiting = 0, False

    def keep(candidates: Sequence[Candidate]) -> int:
        new = [candidate for candidate in candidates if candidate.arch.key not in found]
        if new:
            found.update((candidate.arch.key, candidate) for candidate in new)
            history.append(new, searcher.state())
            on_batch(list(found.values()))
        return len(new)

    try:
        while len(found) < evaluations:
            archs = searcher.share(batch, total=evaluations, wanted=first)
            news = keep(searcher.news())
            if news:
                progress.advance(news, "judged by other processes")
            if archs:
                candidates = evaluator.evaluate(archs, progress.advance)
                searcher.tell(candidates)
                here += keep(candidates)
            elif not news and searcher.others:
                if not waiting:
                    progress.note(f"search: other processes judge the last {searcher.others} candidates")
                waiting = True
                time.sleep(_POLL_S)
            elif not news:
                progress.note(f"search: every one of the space's {len(found)} networks is judged")
                break
    finally:
        searcher.leave()
    progress.note(f"search: study {searcher.study!r} has {len(found)} candidates, {here} of them judged here just now")
    return list(found.values())
