"""Where the trials of a running sweep stand, for whoever listens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from nas.stages.context import Context
from nas.sweep.plan import FOLDER, Trial
from nas.sweep.trial import Standing

ERROR: Final = "error"
"""Key of a trial's report that says why it failed."""


class Standings:
    """Passes on what Tune hears from the trials, and keeps why trials failed."""

    def __init__(self, context: Context, trials: Mapping[str, Trial]) -> None:
        self.errors: dict[str, str] = {}
        self._progress, self._trials = context.progress, trials
        self._at = {key: Standing.read(context.path(*FOLDER, key)).evaluations for key in trials}
        planned = sum(trial.config.search.evaluations for trial in trials.values())
        self._progress.start("sweep", planned, "candidate", done=sum(self._at.values()))

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune writes what it is given to a file that nobody reads, and a terminal cannot be written."""
        return {}

    def report(self, key: str, result: Mapping[str, Any]) -> None:
        """A trial kept a batch, or failed."""
        if ERROR in result:
            self.fail(key, str(result[ERROR]))
        else:
            self._advance(key, int(result["evaluations"]))

    def end(self, key: str) -> None:
        """A trial has nothing more to judge, maybe because its space has no more."""
        if key not in self.errors:
            self._advance(key, self._trials[key].config.search.evaluations)

    def lose(self, key: str) -> None:
        """A trial's process was lost, and another one goes on."""
        self._progress.note(f"sweep: the process of {self._trials[key].label} was lost; another one goes on")

    def fail(self, key: str, reason: str) -> None:
        """A trial comes to nothing."""
        self.errors[key] = reason
        self._progress.warn(f"sweep: {self._trials[key].label} failed: {reason}")

    def _advance(self, key: str, evaluations: int) -> None:
        self._progress.advance(evaluations - self._at[key], detail=self._trials[key].label)
        self._at[key] = evaluations
