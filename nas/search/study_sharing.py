"""Several processes on one study: whose turn it is, and which of them live."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Final

from sqlalchemy import make_url

from nas.errors import BusyError, NasError
from nas.search.study_lock import has_locks, lock_path, take

_PATIENCE_S: Final = 600.0
"""How long another process may take over its turn: a model-based sampler can need minutes for a batch."""


def check_locks(url: str) -> None:
    """Check that several processes can search on a study in a storage.

    Raises:
        NasError: they cannot.
    """
    if not has_locks(url):
        raise NasError(
            f"optuna: shared is true, and {make_url(url).get_backend_name()!r} has no locks by which processes know of "
            "one another; use postgresql, sqlite or journal:PATH, or leave out shared"
        )
    path = lock_path(url, "")
    if path is not None and not path.parent.is_dir():
        raise NasError(f"optuna: there is no folder {path.parent} for the storage {url!r}; make it, or name another")


class Sharing:
    """One worker among those that search on a study.

    Every worker holds a lock of its own for as long as it lives, so that others see it live, and a common one while it
    asks or tells. The operating system, or PostgreSQL, releases the locks of a process that is gone, however it went.

    Args:
        url: the storage.
        study: name of the study.

    Raises:
        NasError: the storage has no locks.
    """

    def __init__(self, url: str, study: str) -> None:
        check_locks(url)
        self._url, self._study = url, study
        self._alive = ExitStack()
        self.worker = uuid.uuid4().hex[:16]

    @contextmanager
    def turn(self) -> Iterator[None]:
        """No other worker asks or tells within the block.

        Raises:
            NasError: another worker has not ended its turn for minutes.
        """
        try:
            held = take(self._url, f"{self._study}\nturn", patience_s=_PATIENCE_S)
        except BusyError as error:
            raise NasError(
                f"another process has been asking the Optuna study {self._study!r} for {_PATIENCE_S:g} s; if it hangs, "
                "end it, and this search goes on when it is begun again"
            ) from error
        with held:
            yield

    @contextmanager
    def founding(self) -> Iterator[None]:
        """No process that searches alone opens the study within the block; called on our turn.

        Raises:
            NasError: one searches on it.
        """
        try:
            held = take(self._url, self._study)
        except BusyError as error:
            raise NasError(
                f"another process searches alone on the Optuna study {self._study!r} in this storage; wait for it, or "
                "choose another study name"
            ) from error
        with held:
            yield

    def join(self) -> None:
        """Live, as far as others can see, until ``leave`` or this process's end; called on our turn."""
        self._alive = take(self._url, self._name(self.worker))

    def leave(self) -> None:
        """Live no more."""
        self._alive.close()
        self._forget(self.worker)

    def lives(self, worker: str | None) -> bool:
        """Whether a worker lives; no worker does not. Called on our turn."""
        if worker is None:
            return False
        path = lock_path(self._url, self._name(worker))
        if path is not None and not path.exists():
            return False
        try:
            take(self._url, self._name(worker)).close()
        except BusyError:
            return True
        self._forget(worker)
        return False

    def _forget(self, worker: str) -> None:
        """Remove a dead worker's lock file, which no other worker will ever have."""
        path = lock_path(self._url, self._name(worker))
        if path is not None:
            with suppress(OSError):  # another process may just be looking at it
                path.unlink()

    def _name(self, worker: str) -> str:
        return f"{self._study}\nworker {worker}"
