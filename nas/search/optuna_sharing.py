"""Several processes on one Optuna study: whose turn it is, and whose trials are whose."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from nas.errors import NasError
from nas.lock import exclusive

_RETRY_S: Final = 0.01
_PATIENCE_S: Final = 300.0


class Sharing:
    """Lock files beside a storage that is a file; the operating system releases them when a process dies.

    Without a folder there is nothing to share: it is always our turn, and every worker but us is dead.

    Args:
        folder: where the lock files are, or None.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._held = ExitStack()
        self.ours: list[str] = []
        self.become([uuid.uuid4().hex])

    @property
    def shared(self) -> bool:
        """Whether other processes may be on the study."""
        return self._folder is not None

    def become(self, workers: Iterable[str]) -> None:
        """Be these workers too, until this object goes.

        Raises:
            NasError: another process is one of them.
        """
        for worker in workers:
            if worker not in self.ours:
                if self._folder is not None:
                    self._held.enter_context(exclusive(self._folder / f"{worker}.alive"))
                self.ours.append(worker)

    def is_alive(self, worker: str | None) -> bool:
        """Whether another process that lives is this worker."""
        if self._folder is None or worker is None or worker in self.ours:
            return False
        path = self._folder / f"{worker}.alive"
        if not path.is_file():
            return False
        try:
            with exclusive(path):
                return False
        except NasError:
            return True

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Nobody else proposes or adopts within the block.

        Raises:
            NasError: another process has kept its turn for minutes.
        """
        if self._folder is None:
            yield
            return
        deadline = time.monotonic() + _PATIENCE_S
        with ExitStack() as stack:
            while True:
                try:
                    stack.enter_context(exclusive(self._folder / "turn.lock"))
                    break
                except NasError as error:
                    if time.monotonic() > deadline:
                        raise NasError(
                            f"another process has been proposing for {_PATIENCE_S:.0f} s: {error}"
                        ) from error
                    time.sleep(_RETRY_S)
            yield
