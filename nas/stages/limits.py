"""Limits before a search: those that no network keeps are told at once, and where few do, the search begins with some.

Only counted and predicted metrics are looked at. A limit on accuracy, or on a latency that has to be measured, is left
to the search.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nas.candidate import Candidate
from nas.config import Config
from nas.objective import Problem
from nas.search import feasible_rows
from nas.search.rows import Indices
from nas.stages.evaluators import Judge, counted_judge
from search_spaces import Architecture, SearchSpace

_DRAWN: Final = 64
_COMMON: Final = 0.1
_TRIALS: Final = 1000
"""Most networks judged in looking for some that keep the limits, and again for each limit alone where none does."""


def check_counted_limits(config: Config) -> None:
    """Refuse limits on counted metrics that no network of the space meets, before anything is computed.

    Raises:
        UnreachableError: such a limit; the message says how near the nearest network comes.
    """
    rng = np.random.default_rng(config.seed)
    starting_points(config.make_space(), config.problem, counted_judge(config), rng, count=1)


def starting_points(
    space: SearchSpace, problem: Problem, judge: Judge, rng: np.random.Generator, *, count: int
) -> list[Architecture]:
    """Networks that keep every limit that is judged quickly, for a search to begin with where random ones rarely do.

    Args:
        space: what will be searched.
        problem: its limits count, as far as ``judge`` gives their metrics.
        judge: gives counted and predicted metrics.
        rng: source of randomness.
        count: how many to find, at most.

    Returns:
        None where one in ten random networks keeps these limits, or there are none.

    Raises:
        UnreachableError: no network was found that keeps them; the message says how near the nearest comes.
    """
    drawn = judge(space.architectures(space.sample_indices(rng, _DRAWN)))
    limits = tuple(limit for limit in problem.limits if all(limit.metric in one.metrics for one in drawn))
    if not limits:
        return []
    quick = Problem(problem.objectives, limits)

    def margins(candidates: Sequence[Candidate]) -> NDArray[np.float64]:
        return np.array([[limit.margin(one.value(limit.metric)) for limit in limits] for one in candidates])

    def margins_of(rows: Indices) -> NDArray[np.float64]:
        return margins(judge(space.architectures(rows)))

    if (margins(drawn) <= 0).all(axis=1).mean() >= _COMMON:
        return []
    return space.architectures(feasible_rows(space, quick, margins_of, rng, count=count, trials=_TRIALS))
