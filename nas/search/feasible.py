"""Networks that keep hard limits, found within a bounded number of trials, or the reason why there are none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nas.candidate import ACCURACY, COUNTED_UNITS, LATENCY, describe_value
from nas.errors import UnreachableError
from nas.objective import Limit, Objective, Problem, Scores
from nas.search.evolution import EvolutionSearcher
from nas.search.rows import Indices
from search_spaces import SearchSpace

Margins: TypeAlias = Callable[[Indices], NDArray[np.float64]]
"""How far rows are beyond each limit, shape ``(architectures, limits)``: above 0 where it is broken."""

_BATCH: Final = 50


def feasible_rows(
    space: SearchSpace,
    problem: Problem,
    margins_of: Margins,
    rng: np.random.Generator,
    *,
    count: int,
    trials: int = 2000,
) -> Indices:
    """Different networks that keep every limit: random ones first, then those that evolution finds.

    Args:
        space: where to look.
        problem: its limits count, one or more.
        margins_of: cheap judge, such as counts or predictors.
        rng: source of randomness.
        count: how many to find.
        trials: most networks to judge on the way.

    Returns:
        Up to ``count`` canonical rows; fewer, but at least one, where more are not found.

    Raises:
        UnreachableError: none is found; says how far the space reaches for every limit that no network keeps.
    """
    kept = np.empty((0, len(space.decisions)), np.int64)
    every = list(range(len(problem.limits)))
    nearest = np.full(len(every), np.inf)
    for rows, margins in _descent(space, problem.limits, margins_of, rng, trials=trials, columns=every):
        kept = np.concatenate([kept, rows[(margins <= 0).all(axis=1)]])
        nearest = np.minimum(nearest, margins.min(axis=0))
        if len(kept) >= count:
            return kept[:count]
    if not len(kept):
        raise UnreachableError(_explained(space, problem.limits, margins_of, rng, trials=trials, nearest=nearest))
    return kept


def _descent(
    space: SearchSpace,
    limits: Sequence[Limit],
    margins_of: Margins,
    rng: np.random.Generator,
    *,
    trials: int,
    columns: list[int],
) -> Iterator[tuple[Indices, NDArray[np.float64]]]:
    """Batches of an evolution towards the smallest sum of some margins, those of kept limits counting 0."""
    searcher = EvolutionSearcher(space, Problem((Objective(limits[columns[0]].metric, "minimize"),)), rng)
    judged = 0
    while judged < trials:
        rows = searcher.ask_rows(min(_BATCH, trials - judged))
        if not len(rows):
            return
        margins = np.asarray(margins_of(rows), np.float64)
        costs = margins[:, columns] if len(columns) == 1 else np.maximum(margins[:, columns], 0.0)
        searcher.tell_rows(rows, Scores(costs.sum(axis=1, keepdims=True), np.empty((len(rows), 0))))
        judged += len(rows)
        yield rows, margins


def _explained(
    space: SearchSpace,
    limits: Sequence[Limit],
    margins_of: Margins,
    rng: np.random.Generator,
    *,
    trials: int,
    nearest: NDArray[np.float64],
) -> str:
    """Which limits cannot be kept even alone, or that they cannot be kept together.

    ``nearest`` is the least margin to each limit so far.
    """
    reasons = []
    for column, limit in enumerate(limits):
        reached = float(nearest[column])
        if reached > 0 and len(limits) > 1:
            descent = _descent(space, limits, margins_of, rng, trials=trials, columns=[column])
            reached = min(reached, *(float(margins[:, column].min()) for _, margins in descent))
        if reached > 0:
            value = describe_value(limit.metric, _value(limit, reached))
            has = "has" if limit.metric in COUNTED_UNITS else "is predicted at"
            reasons.append(f"{limit.describe()}, but {_best_of(limit)} of this space {has} {value}")
    if reasons:
        return f"limits cannot be kept: {'; '.join(reasons)}; loosen them, or choose another space"
    return (
        f"limits cannot be kept together: {'; '.join(limit.describe() for limit in limits)}; each alone can be, but "
        f"none of {trials} networks tried keeps all: loosen one of them, or choose another space"
    )


def _value(limit: Limit, margin: float) -> float:
    """The metric's value that is so far beyond the limit."""
    ends = [(limit.at_most, 1.0), (limit.at_least, -1.0)]
    values = [end + sign * margin * (abs(end) or 1.0) for end, sign in ends if end is not None]
    return next(value for value in values if limit.margin(value) >= margin * (1 - 1e-9))


def _best_of(limit: Limit) -> str:
    if limit.metric == ACCURACY:
        return "the most accurate network" if limit.at_most is None else "the network nearest to it"
    if limit.at_most is None or limit.at_least is not None:
        return "the network nearest to it"
    return "the fastest network" if limit.metric.startswith(LATENCY) else "the smallest network"
