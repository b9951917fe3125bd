"""Cheap first: thousands of candidates are judged by predicted accuracy, and the search evaluates the best of them.

Every round a predictor learns from all networks evaluated so far. A search of its own, which starts from these, goes on
by predicted accuracy, and the networks that it puts on the front, with some others that keep the predictor honest, are
evaluated in the supernet (as in NSGANetV2, Lu et al. 2020). Nothing is carried from round to round but what was
evaluated, so a round that a kill cut short comes out the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nas.accuracy import AccuracyError, AccuracyPredictor, get_accuracy_predictor, save_accuracy_predictor
from nas.candidate import ACCURACY, Candidate, Metric, metric_unit
from nas.objective import Problem
from nas.pareto import constrained_ranks, crowding_distance
from nas.search import Searcher
from nas.stages.context import Context
from nas.stages.evaluators import Judge
from nas.stages.history import make_searcher
from search_spaces import Architecture

_FIRST = 20
"""Networks that are evaluated before anything is predicted."""

_PREDICTOR = "ensemble"
_RANDOM_SHARE = 4  # one in so many evaluations is not of the best


@dataclass(frozen=True)
class Round:
    """What one round found.

    Attributes:
        predicted: every candidate that was judged by predicted accuracy, in the order of the search.
        archs: those of them to evaluate.
    """

    predicted: list[Candidate]
    archs: list[Architecture]


class Screening:
    """Chooses what to evaluate by predicted accuracy.

    Args:
        problem: objectives and limits.
        judge: gives every metric but the accuracy.
        searcher: makes a searcher for a round, whose number it is given.
        learn: makes a predictor from evaluated candidates, or None where it is not to be trusted.
        screened: candidates to predict for each that is evaluated.
    """

    def __init__(
        self,
        problem: Problem,
        *,
        judge: Judge,
        searcher: Callable[[int], Searcher],
        learn: Callable[[Sequence[Candidate]], AccuracyPredictor | None],
        screened: int,
    ) -> None:
        self._problem, self._judge, self._searcher = problem, judge, searcher
        self._learn, self._screened = learn, screened

    def propose(self, found: Sequence[Candidate], count: int, rng: np.random.Generator) -> Round | None:
        """Up to ``count`` architectures to evaluate next; None where accuracy cannot be predicted yet, or not well.

        Args:
            found: all candidates so far whose accuracy is not predicted.
            count: how many to evaluate.
            rng: chooses those that are not of the best.
        """
        predictor = self._learn([candidate for candidate in found if candidate.source(ACCURACY) == "evaluated"])
        if predictor is None:
            return None
        searcher = self._searcher(len(found))
        searcher.tell(found)
        predicted: list[Candidate] = []
        for _ in range(self._screened):
            archs = searcher.ask(count)
            if not archs:
                break
            batch = with_predictions(self._judge(archs), predictor)
            searcher.tell(batch)
            predicted += batch
        known = {candidate.arch.key for candidate in found}
        fresh = [candidate for candidate in predicted if candidate.arch.key not in known]
        return Round(predicted, most_promising(fresh, found, self._problem, count, rng)) if fresh else None


def with_predictions(candidates: Sequence[Candidate], predictor: AccuracyPredictor) -> list[Candidate]:
    """The candidates with predicted accuracies and the intervals that hold nine in ten."""
    archs = [candidate.arch for candidate in candidates]
    values = (predictor.predict(archs), *predictor.predict_interval(archs))
    rows = zip(candidates, *(value.tolist() for value in values), strict=True)
    unit = metric_unit(ACCURACY)
    return [
        Candidate(candidate.arch, {**candidate.metrics, ACCURACY: Metric(value, unit, "predicted", (low, high))})
        for candidate, value, low, high in rows
    ]


def most_promising(
    predicted: Sequence[Candidate], found: Sequence[Candidate], problem: Problem, count: int, rng: np.random.Generator
) -> list[Architecture]:
    """Those that would be furthest ahead, and lie where the front is thin; one in four is any other.

    Args:
        predicted: candidates to choose from.
        found: candidates that they have to beat.
        problem: objectives and limits.
        count: how many to choose, at most.
        rng: chooses the others.
    """
    scores = problem.scores([*predicted, *found])
    ranks = constrained_ranks(scores.costs, scores.violations)
    feasible = scores.violations == 0
    crowding = np.zeros(len(ranks))
    crowding[feasible] = crowding_distance(scores.costs[feasible], ranks[feasible])
    size = len(predicted)
    order = np.lexsort((-crowding[:size], ranks[:size]))
    best = order[: count - count // _RANDOM_SHARE]
    others = rng.permutation(np.sort(order[len(best) :]))[: count - len(best)]
    return [predicted[position].arch for position in [*best.tolist(), *others.tolist()]]


def make_screening(
    context: Context, judge: Judge | None, folder: Sequence[str] = ("search",), problem: Problem | None = None
) -> Screening | None:
    """The screening that a run's config asks for; None where every candidate is to be evaluated.

    Args:
        context: the run.
        judge: gives every metric but the accuracy; None where that takes measurements.
        folder: parts of the path where the predictor is kept; randomness has their name.
        problem: what to search for; what the config asks for if left out.
    """
    section = context.config.search
    if section.accuracy == "supernet":
        return None
    if judge is None:
        context.progress.warn(
            "search: accuracy: predicted judges too many candidates to measure each, and a latency predictor failed "
            "its check; every candidate is evaluated in the supernet instead"
        )
        return None

    def searcher(number: int) -> Searcher:
        return make_searcher(context.config, context.rng(*folder, "predicted", number), problem)

    def learn(evaluated: Sequence[Candidate]) -> AccuracyPredictor | None:
        return learnt(context, evaluated, context.path(*folder, "accuracy_predictor"))

    wanted = problem or context.config.problem
    return Screening(wanted, judge=judge, searcher=searcher, learn=learn, screened=section.screened)


def learnt(context: Context, evaluated: Sequence[Candidate], folder: Path) -> AccuracyPredictor | None:
    """A predictor that passed its check on held-out networks, saved in a folder; None, and why is told, if none did."""
    if len(evaluated) < _FIRST:
        return None
    section = context.config.search
    predictor = get_accuracy_predictor(_PREDICTOR, context.space)
    archs, accuracies = [c.arch for c in evaluated], [c.value(ACCURACY) for c in evaluated]
    try:
        predictor.fit(archs, accuracies)
    except AccuracyError as error:
        context.progress.warn(f"search: accuracy cannot be predicted: {error}; candidates are evaluated as proposed")
        return None
    assert predictor.held_out_ is not None  # noqa: S101 (it was fitted)
    scores = predictor.held_out_.scores
    found = f"rank correlation {scores.kendall:.3f}, mean error {scores.mae:.2%} on {scores.count} held-out networks"
    if scores.kendall < section.min_kendall:
        context.progress.warn(
            f"search: the accuracy predictor fails its check: {found} (wanted: at least {section.min_kendall:g}); "
            "the next candidates are evaluated as proposed"
        )
        return None
    save_accuracy_predictor(predictor, folder)
    context.progress.note(f"search: accuracy is predicted from {len(evaluated)} networks: {found}")
    return predictor
