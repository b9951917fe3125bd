"""Shows what a run is doing: a bar with the time left on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

_QUIET_S = 10.0
"""Without a terminal, seconds between two lines about the same piece of work."""


class ConsoleProgress:
    """Listener that writes to standard error; use it as a context manager."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False)
        self._bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[unit]}"),
            TimeElapsedColumn(),
            TextColumn("left:"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[detail]}", style="dim"),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task: TaskID | None = None
        self._name, self._unit = "", ""
        self._total = self._done = self._done_before = 0
        self._began = self._spoke = 0.0

    def __enter__(self) -> ConsoleProgress:
        """Start drawing."""
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop drawing, and leave the terminal as it was."""
        self._bars.stop()

    def start(self, stage: str, total: int, unit: str, done: int = 0) -> None:
        """A piece of work begins; one that begins again while it is not done takes its bar's place."""
        if self._task is not None and stage == self._name and self._done < self._total:
            self._bars.remove_task(self._task)
        unit = unit if total == 1 else f"{unit}s"
        self._name, self._unit, self._total = stage, unit, total
        self._done = self._done_before = done
        self._began = self._spoke = time.monotonic()
        self._task = self._bars.add_task(stage, total=total, completed=done, unit=unit, detail="")
        if not self._console.is_terminal:
            self._line("")

    def advance(self, steps: int = 1, detail: str = "") -> None:
        """Units are done."""
        self._done += steps
        if self._task is not None:
            self._bars.update(self._task, advance=steps, detail=detail)
        now = time.monotonic()
        finished = steps > 0 and self._done >= self._total
        if not self._console.is_terminal and (finished or now - self._spoke >= _QUIET_S):
            self._spoke = now
            self._line(detail)

    def note(self, message: str) -> None:
        """A line."""
        self._console.print(message, markup=False, soft_wrap=True)

    def warn(self, message: str) -> None:
        """A line that stands out."""
        self._console.print(f"warning: {message}", style="yellow", markup=False, soft_wrap=True)

    def _line(self, detail: str) -> None:
        left = ""
        fresh = self._done - self._done_before
        if fresh > 0 and self._done < self._total:
            seconds = (time.monotonic() - self._began) / fresh * (self._total - self._done)
            left = f", about {duration(seconds)} left"
        extra = f" ({detail})" if detail else ""
        text = f"{self._name}: {self._done}/{self._total} {self._unit}{left}{extra}"
        self._console.print(text, markup=False, soft_wrap=True)


def duration(seconds: float) -> str:
    """A length of time as a person says it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
