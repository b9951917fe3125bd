"""Report: one page about the run."""

from __future__ import annotations

from nas.lock import exclusive
from nas.stages.context import Context

_PATIENCE_S = 60.0
"""Another report that is being written takes seconds."""


def run(context: Context) -> None:
    """Write the report of what there is."""
    from nas.report import write_report  # noqa: PLC0415 (matplotlib takes long to import)

    # A lock of its own: a report may be asked for while the run goes on.
    with exclusive(context.path("report", ".lock"), patience_s=_PATIENCE_S):
        path = write_report(context.run.path)
    context.progress.note(f"report: {path}")
