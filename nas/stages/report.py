"""Report: one page about the run."""

from __future__ import annotations

from nas.report import write_report
from nas.stages.context import Context


def run(context: Context) -> None:
    """Write the report of what there is."""
    path = write_report(context.run.path)
    context.progress.note(f"report: {path}")
