"""What an agent must not forget when it is killed: which measurements were asked for, and results not yet fetched."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from devices.errors import DeviceError

State: TypeAlias = Literal["queued", "running", "done"]

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS jobs (key TEXT PRIMARY KEY, id TEXT, state TEXT, starts INTEGER, "
    "request TEXT, result TEXT)"
)


@dataclass(frozen=True)
class Entry:
    """One measurement as the journal holds it; request and result are messages, and there is none before it is done."""

    key: str
    id: str
    state: State
    starts: int
    request: str
    result: str | None


class Journal:
    """The entries, in a SQLite file that one agent holds for as long as it runs.

    Raises:
        DeviceError: the file cannot be opened, is damaged, or another agent holds it.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        try:
            self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=0.0)
            self._database.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._database.execute("BEGIN EXCLUSIVE")
            self._database.execute(_SCHEMA)
            self._database.execute("COMMIT")
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise DeviceError(
                    f"another agent is using {path.parent}; stop it, or give this one another --directory (two agents "
                    "on one board would measure at the same time and disturb each other)"
                ) from error
            raise DeviceError(f"cannot open the journal {path}: {error}; check that you may write there") from error
        except sqlite3.DatabaseError as error:
            raise DeviceError(
                f"the journal {path} is damaged ({error}); move it away: measurements that nobody fetched are lost"
            ) from error

    def entries(self) -> Iterator[Entry]:
        """Everything, in the order of asking."""
        with self._lock:
            rows = self._database.execute(
                "SELECT key, id, state, starts, request, result FROM jobs ORDER BY rowid"
            ).fetchall()
        return (Entry(*row) for row in rows)

    def write(self, entry: Entry) -> None:
        """Add or change an entry; it is on the disk when this returns.

        Raises:
            OSError: it could not be written, most likely because the disk is full.
        """
        self._execute(
            "INSERT INTO jobs VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET id = excluded.id, "
            "state = excluded.state, starts = excluded.starts, request = excluded.request, result = excluded.result",
            (entry.key, entry.id, entry.state, entry.starts, entry.request, entry.result),
        )

    def delete(self, key: str) -> None:
        """Forget an entry.

        Raises:
            OSError: as for ``write``.
        """
        self._execute("DELETE FROM jobs WHERE key = ?", (key,))

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._database.close()

    def _execute(self, statement: str, values: tuple[object, ...]) -> None:
        with self._lock:
            try:
                self._database.execute(statement, values)
            except sqlite3.Error as error:
                raise OSError(f"the journal cannot be written: {error}") from error
