"""Every measurement ever made, kept in a database so that nothing is measured twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timezone
from types import TracebackType
from typing import Any, TypeVar, cast

from sqlalchemy import URL, Engine, String, Table, Text, UniqueConstraint, create_engine, event, select, update
from sqlalchemy.engine import make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.schema import CreateTable

from devices import Artifact, Device, DeviceError, Measurement, MeasureSettings
from nas.errors import NasError

_BUSY_TIMEOUT_S = 30.0
"""How long one process waits for another to finish writing."""
_Result = TypeVar("_Result")


class _Base(DeclarativeBase):
    pass


class _Row(_Base):
    __tablename__ = "measurements"
    __table_args__ = (UniqueConstraint("artifact_sha256", "device_key", "settings_key"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    artifact_sha256: Mapped[str] = mapped_column(String(64))
    device_key: Mapped[str] = mapped_column(String(128))
    settings_key: Mapped[str] = mapped_column(String(16))
    ok: Mapped[bool]
    recorded_at: Mapped[str] = mapped_column(String(40))
    body: Mapped[str] = mapped_column(Text)


class Ledger:
    """Measurements by artifact, device and settings; one row for each, the first success for good.

    Several processes may use one ledger at once. With SQLite a record is on the disk when ``record`` returns, and
    a process killed at any moment leaves whole records only.

    Args:
        url: SQLAlchemy's database URL, such as ``sqlite:///run/ledger.sqlite`` or ``postgresql+psycopg://host/name``.

    Raises:
        NasError: a URL that is none, a driver that is missing, or a database that cannot be opened.
    """

    def __init__(self, url: str | URL) -> None:
        self._engine = _make_engine(url)
        self._place = self._engine.url.render_as_string(hide_password=True)
        try:
            self._attempt(self._create_table)
        except _TakenError:
            pass  # another process made the table just now
        except NasError:
            self._engine.dispose()
            raise

    def get(self, artifact_sha256: str, device_key: str, settings_key: str) -> Measurement | None:
        """The measurement under this key, be it a success or a failure, or none.

        Raises:
            NasError: a database that cannot be read.
        """
        query = select(_Row.body).where(*_has_key(artifact_sha256, device_key, settings_key))
        body = self._in_session(lambda session: session.scalar(query))
        if body is None:
            return None
        found = self._measurement(body)
        if (found.artifact_sha256, found.settings.key) != (artifact_sha256, settings_key):
            raise NasError(
                f"the ledger {self._place} holds a measurement of {found.artifact_sha256[:12]}… under the key of "
                f"{artifact_sha256[:12]}…; move the ledger away and run again, which measures anew"
            )
        return found

    def record(self, measurement: Measurement, device_key: str) -> None:
        """Keep a measurement: the first success under a key stays for good, a failure gives way to what comes later.

        Args:
            measurement: to be kept.
            device_key: ``DeviceInfo.key`` of the device it was made on.

        Raises:
            NasError: a database that cannot be written.
        """
        key = (measurement.artifact_sha256, device_key, measurement.settings.key)
        content = {
            "ok": measurement.ok,
            "recorded_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "body": json.dumps(measurement.to_json()),
        }
        row = _Row(artifact_sha256=key[0], device_key=key[1], settings_key=key[2], **content)
        replace_failure = update(_Row).where(*_has_key(*key), _Row.ok.is_(False)).values(**content)
        try:
            self._in_session(lambda session: session.add(row))
        except _TakenError:
            self._in_session(lambda session: session.execute(replace_failure))

    def measurements(self, device_key: str | None = None) -> list[Measurement]:
        """All measurements in the order of their first recording, failures among them.

        Args:
            device_key: only those made on this device.

        Raises:
            NasError: a database that cannot be read.
        """
        query = select(_Row.body).order_by(_Row.id)
        if device_key is not None:
            query = query.where(_Row.device_key == device_key)
        bodies = self._in_session(lambda session: list(session.scalars(query)))
        return [self._measurement(body) for body in bodies]

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _create_table(self) -> None:
        # IF NOT EXISTS, for two processes may come here at once, where "look, then create" would fail in one of them.
        with self._engine.begin() as connection:
            connection.execute(CreateTable(cast("Table", _Row.__table__), if_not_exists=True))

    def _in_session(self, work: Callable[[Session], _Result]) -> _Result:
        def run() -> _Result:
            with Session(self._engine) as session, session.begin():
                return work(session)

        return self._attempt(run)

    def _attempt(self, work: Callable[[], _Result]) -> _Result:
        try:
            return work()
        except IntegrityError as error:
            raise _TakenError(str(error.orig)) from error
        except SQLAlchemyError as error:
            reason = _reason(error)
            raise NasError(f"cannot use the ledger {self._place}: {reason}; {_remedy(self._engine, reason)}") from error

    def _measurement(self, body: str) -> Measurement:
        try:
            return Measurement.from_json(json.loads(body))
        except (ValueError, RecursionError, DeviceError) as error:
            raise NasError(
                f"the ledger {self._place} holds a row that is no measurement: {error}; move the ledger away and run "
                "again, which measures anew"
            ) from error


class _TakenError(NasError):
    """There is a row under this key already."""


def measure_once(ledger: Ledger, device: Device, artifact: Artifact, settings: MeasureSettings) -> Measurement:
    """The ledger's successful measurement, or a new one, which is recorded.

    What failed before is tried again. Where another process has recorded the same key meanwhile, its success is what
    everyone sees.

    Raises:
        NasError: a ledger that cannot be used.
    """
    key = (artifact.sha256, device.info().key, settings.key)
    known = ledger.get(*key)
    if known is not None and known.ok:
        return known
    made = device.measure(artifact, settings)
    ledger.record(made, key[1])
    return ledger.get(*key) or made


def _has_key(artifact_sha256: str, device_key: str, settings_key: str) -> tuple[Any, ...]:
    return (
        _Row.artifact_sha256 == artifact_sha256,
        _Row.device_key == device_key,
        _Row.settings_key == settings_key,
    )


def _make_engine(url: str | URL) -> Engine:
    try:
        parsed = make_url(url)
        waits = {"timeout": _BUSY_TIMEOUT_S} if parsed.get_backend_name() == "sqlite" else {}
        engine = create_engine(parsed, connect_args=waits)
    except ArgumentError as error:  # the text given is not shown, for it may hold a password
        raise NasError(
            f"the ledger's URL is not a database URL ({error}); give one such as sqlite:///ledger.sqlite or "
            "postgresql+psycopg://user@host/name"
        ) from error
    except ModuleNotFoundError as error:
        raise NasError(
            f"the ledger {parsed.render_as_string(hide_password=True)} needs the package {error.name}, which is not "
            "installed; for PostgreSQL install it, in the checkout of hwnas, with: pip install -e '.[postgresql]'"
        ) from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _prepare_sqlite(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")  # readers and one writer at a time, without waiting for each other
    cursor.execute("PRAGMA synchronous=FULL")  # what is recorded survives a power cut as well
    cursor.close()


def _reason(error: SQLAlchemyError) -> str:
    return str(error.orig if isinstance(error, DBAPIError) else error).strip()


def _remedy(engine: Engine, reason: str) -> str:
    if "disk is full" in reason or "No space left" in reason:
        return "free some space and run again, which goes on where it stopped"
    if engine.dialect.name == "sqlite" and "locked" in reason:
        return (
            f"another program has held it for {_BUSY_TIMEOUT_S:.0f} s; close that one and run again, which goes on "
            "where it stopped"
        )
    if engine.dialect.name == "sqlite":
        return (
            "its folder has to exist and be writable; if the file is damaged or no SQLite database, move it away and "
            "run again, which measures anew"
        )
    return "check that the server runs and that host, name, user and password are right"
