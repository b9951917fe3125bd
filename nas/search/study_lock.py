"""Storages of Optuna studies by URL, and a lock that one process holds on a study for as long as it lives."""

from __future__ import annotations

import functools
import hashlib
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from optuna.storages import BaseStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalStorage
from sqlalchemy import create_engine, make_url, text

from devices.paths import user_path
from nas.errors import BusyError, NasError
from nas.lock import exclusive

JOURNAL: Final = "journal:"
"""What the URL of a journal begins with; its path follows."""

_LOCK: Final = text("SELECT pg_try_advisory_lock(:number)")
"""Takes one of PostgreSQL's locks, which ends with the connection."""


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
    held, digest = ExitStack(), hashlib.sha256(study.encode()).hexdigest()
    file = _file(url)
    if file is not None:
        try:
            held.enter_context(exclusive(file.with_name(f".{file.name}.{digest[:20]}")))
        except BusyError:
            raise _taken(study) from None
    elif make_url(url).get_backend_name() == "postgresql":
        # Otherwise a transaction would be open for as long as the search lasts.
        connection = held.enter_context(create_engine(url, isolation_level="AUTOCOMMIT").connect())
        if not connection.execute(_LOCK, {"number": int(digest[:15], 16)}).scalar():
            held.close()
            raise _taken(study)
    return held


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
        "and any number evaluate what it asks for: set evaluators in its config; or choose another study name"
    )
