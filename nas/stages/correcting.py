"""Correcting: predictors learn from what was measured, and the search goes on where it found itself misled.

Nothing is carried from round to round but what is in the run directory, so a round that a kill cut short comes out the
same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from latency_predictors import load_predictor
from nas.candidate import Candidate
from nas.distributed.evaluation import evaluating
from nas.evaluate import rescored
from nas.files import read_json, reading, write_json
from nas.pareto import ParetoFront
from nas.stages import search
from nas.stages.context import Context
from nas.stages.evaluators import make_evaluator
from nas.stages.expecting import as_files_are, expected, next_finalists, spread, unfit
from nas.stages.fit import fit_target, fitted_predictors, rows_by_target
from nas.stages.fronts import searched_views, united
from nas.stages.history import History
from nas.stages.latencies import make_latencies
from nas.stages.limits import starting_points
from nas.stages.rounds import FOLDER, Round
from nas.stages.searching import found_by, search_on

Row = dict[str, Any]


def first_round(context: Context) -> Round:
    """The members of the searched front, and of those that a fleet needs.

    Raises:
        NasError: a file of the run that is damaged.
    """
    searched = context.run.result("search")
    with reading(searched):
        row = read_json(searched)
        others = row["fronts"].values() if context.config.fleet else ()
        fronts = [ParetoFront.from_json(row).members, *(list(map(Candidate.from_json, front)) for front in others)]
        for member in united(fronts):
            context.space.validate(member.arch)
    count = context.config.confirm.members
    return Round(1, united(spread(front, count) for front in fronts), fitted_predictors(context))


class Corrector:
    """Finds what to measure next, by predictors that have learnt from what was measured so far."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._judged = found_by(History(context.path(*search.FOLDER)).judged())

    def next_round(self, number: int, rows: Sequence[Row]) -> Round:
        """Fit the predictors again, predict all candidates again, search on and choose what to measure.

        Args:
            number: of the round, from 2.
            rows: of ``confirm_finalists``, of all rounds so far.

        Returns:
            The round; without finalists where nothing new is expected on the front.

        Raises:
            UnreachableError: limits that no network meets, by what is known now.
        """
        context, folder = self._context, (*FOLDER, str(number))
        refitted = _refit(context, folder, rows)
        predictors = {name: load_predictor(context.path(*folder, "predictors", name)) for name in refitted}
        problem = as_files_are(context.config.problem, rows)
        lost = unfit(context.config.problem, rows)
        judged = [candidate for candidate in self._judged if candidate.arch.key not in lost]
        views = searched_views(context.config, problem)
        known = expected(rescored(judged, context.space, predictors), rows, views)
        with context.ledger() as ledger, evaluating(context) as accuracies:
            evaluator = make_evaluator(context, predictors, accuracies)
            latencies = make_latencies(context, predictors, ledger)
            evaluations, rng = context.config.confirm.evaluations, context.rng(*folder, "limits")
            first = starting_points(context.space, problem, evaluator.cheap, rng, count=-(-evaluations // 4))
            found = search_on(
                context,
                evaluator,
                latencies,
                folder,
                evaluations=evaluations,
                problem=problem,
                known=known,
                first=first,
            )
        self._judged += found
        measured, count = {row["key"] for row in rows}, context.config.confirm.members
        chosen = united(next_finalists(view, [*known, *found], measured, count) for view in views)
        return Round(number, chosen, predictors, refitted, len(found))


def _refit(context: Context, folder: Sequence[str], rows: Sequence[Row]) -> Mapping[str, Row]:
    """By target what fitting came to, with the measured networks; fitted once, then read.

    Targets that have no predictor in the search get none here.
    """
    path = context.path(*folder, "fit.json")
    if not path.is_file():
        profiled = context.run.result("profile")
        with reading(profiled):
            before = rows_by_target(context, read_json(profiled)["rows"])
        after = rows_by_target(context, [measurement for row in rows for measurement in row["measurements"]])
        names = list(fitted_predictors(context))
        context.progress.start("confirm: fit again", len(names), "target")
        refitted = {}
        for name in names:
            # A network that was profiled as well counts as the file that is shipped.
            known = {row["key"]: row for row in (*before[name], *after[name])}
            rng = context.rng(*folder, "fit", name)
            fitted = fit_target(context, list(known.values()), rng, context.path(*folder, "predictors", name))
            refitted[name] = {**fitted, "networks": len(known), **_errors(context, name, fitted, rows)}
            context.progress.advance(detail=name)
        write_json(path, {"targets": refitted})
    with reading(path):
        targets = read_json(path)["targets"]
        return {name: dict(targets[name]) for name in fitted_predictors(context)}


def _errors(context: Context, target: str, fitted: Row, rows: Sequence[Row]) -> Row:
    """Mean errors, as shares, in predicting the finalists: of what they were chosen by, and of the new predictor.

    The new one's are held-out as well: each finalist is predicted by a fit that had not seen it.
    """
    metric = next(t.metric for t in context.targets if t.name == target)
    measured = {row["key"]: row["metrics"][metric]["value"] for row in rows if metric in row["metrics"]}
    promised = {row["key"]: row["predicted"][metric]["value"] for row in rows if row["key"] in measured}
    again = {point["key"]: point["predicted_s"] for point in fitted["points"]}
    return {
        f"error_{when}": fmean(abs(guess[key] / seconds - 1) for key, seconds in measured.items()) if measured else None
        for when, guess in (("before", promised), ("after", again))
    }
