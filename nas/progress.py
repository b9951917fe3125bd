"""How the stages tell what they are doing, whoever listens: the command line, a notebook, a test."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Listener to a running stage."""

    def start(self, stage: str, total: int, unit: str, done: int = 0) -> None:
        """A piece of work of ``total`` units begins; ``done`` of them were done by an earlier run."""
        ...

    def advance(self, steps: int = 1, detail: str = "") -> None:
        """Units of the current piece of work are done; ``detail`` says how it stands."""
        ...

    def note(self, message: str) -> None:
        """Something worth a line."""
        ...

    def warn(self, message: str) -> None:
        """Something that went wrong without stopping the run."""
        ...


class Silent:
    """Says nothing."""

    def start(self, stage: str, total: int, unit: str, done: int = 0) -> None:
        """See ``Progress``."""

    def advance(self, steps: int = 1, detail: str = "") -> None:
        """See ``Progress``."""

    def note(self, message: str) -> None:
        """See ``Progress``."""

    def warn(self, message: str) -> None:
        """See ``Progress``."""
