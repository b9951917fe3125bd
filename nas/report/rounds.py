"""Reads the rounds of confirming: what was predicted, what was measured, and what the predictors learnt from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from nas.files import read_json, reading
from nas.report.results import Row, as_text
from nas.report.values import Check, Refit, Round
from nas.run_directory import RunDirectory


def read_rounds(run: RunDirectory, names: Mapping[str, str]) -> Iterator[Round]:
    """Every round so far, in order.

    Args:
        run: the run.
        names: what networks are called, by their keys; others go by the first letters of theirs.

    Raises:
        NasError: a file that is damaged.
    """
    for path in sorted(run.path.glob("confirm/rounds/*/round.json"), key=lambda path: int(path.parent.name)):
        row = read_json(path)
        with reading(path):
            yield Round(
                number=int(row["round"]),
                judged=int(row["judged"]),
                refits=tuple(_refit(target, fitted) for target, fitted in row["refitted"].items()),
                checks=tuple(_check(check, names) for check in row["compared"]),
                contradicted=tuple(map(as_text, _listed(row["contradicted"]))),
                networks=len([as_text(key) for key in _listed(row["members"])]),
                entered=len([as_text(key) for key in _listed(row["entered"])]),
            )


def _refit(target: str, row: Row) -> Refit:
    before, after = (None if row[name] is None else float(row[name]) for name in ("error_before", "error_after"))
    return Refit(target, as_text(row["best"]), int(row["networks"]), before, after)


def _listed(value: object) -> list[object]:
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is no list")
    return value


def _check(row: Row, names: Mapping[str, str]) -> Check:
    key = as_text(row["key"])
    return Check(
        key=key,
        name=names.get(key, key[:8]),
        target=as_text(row["target"]),
        predicted_s=float(row["predicted_s"]),
        low_s=float(row["low_s"]),
        high_s=float(row["high_s"]),
        measured_s=float(row["measured_s"]),
        within=bool(row["within"]),
    )
