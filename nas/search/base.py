"""The searcher's side of ask and tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nas.candidate import Candidate
from nas.errors import NasError
from nas.objective import Problem, Scores
from search_spaces import Architecture, SearchSpace


class Searcher(Protocol):
    """Proposes architectures and learns from what they turned out to be.

    The same space, problem and seed, and the same answers, give the same proposals. Nothing is evaluated here.
    """

    def ask(self, count: int) -> list[Architecture]:
        """Up to ``count`` canonical architectures that were never asked for before.

        Fewer come back, possibly none, only where nothing new is left. The first call after ``restore`` gives
        those again that had been asked for and not been told when the state was taken.

        Raises:
            NasError: ``count`` is below 1.
        """
        ...

    def tell(self, candidates: Sequence[Candidate]) -> None:
        """Take in results, of architectures that were asked for or any others; told twice, the first counts.

        Raises:
            NasError: an architecture of another space, or metrics that the problem cannot be judged by.
        """
        ...

    def state(self) -> dict[str, Any]:
        """All that is needed to go on in another process, in values that ``json`` writes."""
        ...

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where ``state`` was taken; called on a searcher just made with the same arguments.

        Raises:
            NasError: the state is of another searcher, space or problem, or damaged.
        """
        ...


def state_header(searcher: str, space: SearchSpace, problem: Problem) -> dict[str, Any]:
    """What a state belongs to."""
    return {"searcher": searcher, "space": space.name, "problem": problem.to_json()}


def check_header(state: Mapping[str, Any], header: Mapping[str, Any]) -> None:
    """Check that a state belongs to this search.

    Raises:
        NasError: it belongs to another.
    """
    for name, expected in header.items():
        if state.get(name) != expected:
            raise NasError(
                f"the saved search state is of {name} {state.get(name)!r}, this search of {expected!r}; "
                "start a new search, or go back to the settings that the state was made with"
            )


def check_count(count: int) -> None:
    """Check the number of architectures asked for.

    Raises:
        NasError: it is below 1.
    """
    if count < 1:
        raise NasError(f"{count} architectures were asked for; ask for 1 or more")


def check_whole(searcher: str, setting: str, given: float, least: int, most: int | None = None) -> None:
    """Check a searcher's setting that is a count.

    Raises:
        NasError: it is no whole number, or out of its range.
    """
    whole = isinstance(given, int) and not isinstance(given, bool)
    if not whole or given < least or (most is not None and given > most):
        allowed = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise NasError(f"{searcher}: {setting} is {given!r}; give a whole number {allowed}")


def check_scores(problem: Problem, rows: NDArray[np.int64], scores: Scores) -> None:
    """Check that scores belong to as many rows and can be compared.

    Raises:
        NasError: shapes that do not fit, or values that are NaN.
    """
    expected = ((len(rows), len(problem.objectives)), (len(rows), len(problem.limits)))
    if (scores.costs.shape, scores.margins.shape) != expected:
        raise NasError(
            f"{len(rows)} rows came with costs of shape {scores.costs.shape} and margins of shape "
            f"{scores.margins.shape}; give {expected[0]} and {expected[1]}"
        )
    # Only a candidate that breaks a limit may leave a cost unknown, which is then infinite.
    unknown = ~np.isfinite(scores.costs).all(axis=1) & (scores.violations == 0)
    bad = np.flatnonzero(unknown | np.isnan(scores.costs).any(axis=1) | ~np.isfinite(scores.margins).all(axis=1))
    if len(bad):
        raise NasError(
            f"results of {len(bad)} of {len(rows)} networks cannot be compared, the first of them of "
            f"{rows[bad[0]].tolist()}: costs {scores.costs[bad[0]].tolist()}, "
            f"margins {scores.margins[bad[0]].tolist()}; "
            "only finite numbers can be compared: check the evaluator or predictor that gave them"
        )
