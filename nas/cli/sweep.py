"""The command that sweeps, and its table."""

# ruff: noqa: PLC0415 (what takes long to import is imported inside the command)

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from nas.cli.errors import reported
from nas.cli.progress import ConsoleProgress, duration

if TYPE_CHECKING:
    from nas.sweep import Results


def sweep_command(
    run_dir: Annotated[Path, typer.Argument(help="Directory of a run whose predictors are fitted.", metavar="RUN_DIR")],
    sweep: Annotated[Path, typer.Argument(help="YAML file with seeds, strategies and limits.", metavar="SWEEP")],
    parallel: Annotated[
        int | None,
        typer.Option("--parallel", min=1, help="Searches at once (as many as Ray has room for)."),
    ] = None,
    data: Annotated[Path | None, typer.Option("--data", help="Where the images are, if they moved.")] = None,
) -> None:
    """Search many times, with other seeds, strategies and limits, and compare what is found."""
    words = ["nas", "sweep", str(run_dir), str(sweep)]
    words += ["--parallel", str(parallel)] if parallel else []
    words += ["--data", str(data)] if data else []
    with reported(resume=shlex.join(words)):
        from nas.sweep.run import run_sweep

        with ConsoleProgress() as progress:
            results = run_sweep(run_dir, sweep, parallel=parallel, data=data, progress=progress)
        show_results(Console(), results)
        Console().print(f"every figure: {run_dir / 'sweep' / 'results.json'}", markup=False, soft_wrap=True)


def show_results(console: Console, results: Results) -> None:
    """Print a table of the trials, and one of mean and spread over the seeds."""
    limits = list(results.trials[0]["best_accuracy"])
    best = [f"best accuracy, {name}" if len(limits) > 1 else "best accuracy" for name in limits]
    table = Table("strategy", "limits", "seed", "judged", "hypervolume", *map(escape, best), "time")
    for row in results.trials:
        shown = [_share(row["best_accuracy"][name]) for name in limits]
        last = "failed" if row["error"] is not None else duration(row["seconds"])
        cells = [row["strategy"], row["limits"], str(row["seed"]), str(row["evaluations"]), _volume(row["hypervolume"])]
        table.add_row(*(escape(cell) for cell in (*cells, *shown, last)))
    console.print(table)
    summary = Table("strategy", "limits", "seeds", "hypervolume", "best accuracy", title="mean ± standard deviation")
    for row in results.summary:
        seeds = f"{row['trials']}" + (f" ({row['failed']} failed)" if row["failed"] else "")
        spreads = (_spread(row["hypervolume"], _volume), _spread(row["best_accuracy"], _share))
        summary.add_row(*(escape(cell) for cell in (row["strategy"], row["limits"], seeds, *spreads)))
    console.print(summary)
    for row in results.trials:
        # Below the tables, for sentences are not read in a narrow column.
        if row["error"] is not None:
            who = f"{row['strategy']}, {row['limits']}, seed {row['seed']}"
            console.print(f"{who} failed: {row['error']}", markup=False, highlight=False, soft_wrap=True)


def _spread(row: Mapping[str, float | None] | None, shown: Callable[[float | None], str]) -> str:
    if row is None:
        return "–"
    return shown(row["mean"]) + (f" ± {shown(row['sd'])}" if row["sd"] is not None else "")


def _volume(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.2%}"
