"""Storages of Optuna studies by URL, and the locks beside them, which a process holds for as long as it lives."""

from __future__ import annotations

import functools
import hashlib
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from optuna.storages import BaseStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalStorage
from sqlalchemy import Connection, NullPool, create_engine, make_url, text

from devices.paths import user_path
from nas.errors import BusyError, NasError
from nas.lock import exclusive

JOURNAL: Final = "journal:"
"""What the URL of a journal begins with; its path follows."""

_LOCK: Final = text("SELECT pg_try_advisory_lock(:number)")
"""Takes one of PostgreSQL's locks, which ends with the connection."""

_POLL_S: Final = 0.2


def open_storage(url: str) -> BaseStorage:
    """A storage of Optuna's: ``journal:PATH``, or the SQLAlchemy URL of a database.

    Raises:
        optuna.exceptions.OptunaError, SQLAlchemyError, ImportError, ValueError, OSError: it cannot be opened.
    """
    if url.startswith(JOURNAL):
        return JournalStorage(JournalFileBackend(str(user_path(url.removeprefix(JOURNAL)))))
    return RDBStorage(url)


@functools.cache  # a second search in this process goes on with the first one's lock
def hold(url: str, study: str) -> ExitStack:
    """Keep every other process from searching on a study until this one ends, however it ends.

    Only files and PostgreSQL have such a lock; on another database nothing is kept from anybody.

    Returns:
        What holds the lock.

    Raises:
        NasError: another process holds it, or the storage's file system has no locks.
        SQLAlchemyError, OSError: the storage cannot be reached.
    """
    try:
        return take(url, study)
    except BusyError:
        raise _taken(study) from None


def has_locks(url: str) -> bool:
    """Whether ``take`` takes anything there: of files and PostgreSQL; what is in memory is nobody else's anyway."""
    return url.startswith(JOURNAL) or make_url(url).get_backend_name() in ("sqlite", "postgresql")


def take(url: str, name: str, *, patience_s: float = 0.0) -> ExitStack:
    """Take one of the locks that lie beside a storage, until it is closed or this process ends, however it ends.

    Args:
        url: the storage; where it has no locks, nothing is taken.
        name: which lock.
        patience_s: how long another process that holds it is waited for.

    Returns:
        What holds the lock.

    Raises:
        BusyError: another process holds it.
        NasError: the storage's file system has no locks.
        SQLAlchemyError, OSError: the storage cannot be reached.
    """
    with ExitStack() as held:
        path = lock_path(url, name)
        if path is not None:
            held.enter_context(exclusive(path, patience_s=patience_s))
        elif make_url(url).get_backend_name() == "postgresql":
            # Without transactions, one of which would be open for as long as the lock is held, and without a pool,
            # which would hold the lock after its end.
            engine = create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
            _wait(held.enter_context(engine.connect()), int(_digest(name)[:15], 16), name, patience_s)
        return held.pop_all()


def _wait(connection: Connection, number: int, name: str, patience_s: float) -> None:
    deadline = time.monotonic() + patience_s
    while not connection.execute(_LOCK, {"number": number}).scalar():
        if time.monotonic() >= deadline:
            raise BusyError(f"another process holds the lock {name!r} in this storage")
        time.sleep(_POLL_S)


def lock_path(url: str, name: str) -> Path | None:
    """The file that is one of a storage's locks; None where the storage is no file."""
    file = _file(url)
    return None if file is None else file.with_name(f".{file.name}.{_digest(name)[:20]}")


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def _file(url: str) -> Path | None:
    """The file that a storage is; None of a server, or in memory."""
    if url.startswith(JOURNAL):
        return user_path(url.removeprefix(JOURNAL)).resolve()
    address = make_url(url)
    if address.get_backend_name() == "sqlite" and address.database not in (None, "", ":memory:"):
        return Path(str(address.database)).resolve()
    return None


def _taken(study: str) -> NasError:
    return NasError(
        f"another process is searching on the Optuna study {study!r} in this storage. One process searches on a study, "
        "and any number evaluate what it asks for: set evaluators in its config; or choose another study name, and "
        "shared: true beside it in the config of every process, and several search on it together"
    )
