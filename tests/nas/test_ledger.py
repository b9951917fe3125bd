from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, event
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from devices import Artifact, FakeDevice, Measurement, MeasureSettings, Workload
from nas.errors import NasError
from nas.ledger import Ledger, _Row, measure_once

SETTINGS = MeasureSettings()
WRITER = """
import sys
from devices import Measurement, MeasureSettings
from nas.ledger import Ledger
url, value, count = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
with Ledger(url) as ledger:
    for number in range(count):
        made = Measurement(f"{number:064x}", "onnx", "int8", "fake", MeasureSettings(), (value,) * 100)
        ledger.record(made, "device")
        print(number, flush=True)
"""


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'ledger.sqlite'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    """An empty database of each kind; PostgreSQL where it is installed."""
    found: str = request.getfixturevalue(f"{request.param}_url")
    if request.param == "postgresql":
        engine = create_engine(found)
        _Row.metadata.drop_all(engine)
        engine.dispose()
    return found


def made(number: int = 0, value: float = 1.0, **changes: Any) -> Measurement:
    fields: dict[str, Any] = {"latencies_s": (value, value), "settings": SETTINGS, **changes}
    return Measurement(f"{number:064x}", "onnx", "int8", "fake", **fields)


def failed(number: int = 0, error: str = "it fell") -> Measurement:
    return made(number, latencies_s=(), error=error)


def get(ledger: Ledger, number: int = 0) -> Measurement | None:
    return ledger.get(f"{number:064x}", "device", SETTINGS.key)


def start_writer(url: str, value: float, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, url, str(value), str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_what_was_recorded_is_there_after_reopening(url: str) -> None:
    with Ledger(url) as ledger:
        assert get(ledger) is None
        ledger.record(made(), "device")
    with Ledger(url) as ledger:
        assert get(ledger) == made()
        assert ledger.get(f"{0:064x}", "another", SETTINGS.key) is None
        assert ledger.get(f"{0:064x}", "device", MeasureSettings(threads=2).key) is None
        assert ledger.get(f"{1:064x}", "device", SETTINGS.key) is None


def test_first_success_stays(url: str) -> None:
    with Ledger(url) as ledger:
        for value in (1.0, 2.0):
            ledger.record(made(value=value), "device")
        ledger.record(failed(), "device")
        assert get(ledger) == made(value=1.0)
        assert len(ledger.measurements()) == 1


def test_failure_is_a_row_and_gives_way(url: str) -> None:
    with Ledger(url) as ledger:
        ledger.record(failed(error="first"), "device")
        ledger.record(failed(error="second"), "device")
        assert get(ledger) == failed(error="second")
        ledger.record(made(), "device")
        assert get(ledger) == made()
        assert ledger.measurements() == [made()]


def test_measurements_come_in_order_and_by_device(url: str) -> None:
    with Ledger(url) as ledger:
        for number in (2, 0, 1):
            ledger.record(made(number), f"device{number}")
        assert ledger.measurements() == [made(2), made(0), made(1)]
        assert ledger.measurements("device0") == [made(0)]


class Counting(FakeDevice):
    """Counts how often it is asked."""

    asked = 0

    def measure(self, artifact: Artifact, settings: MeasureSettings) -> Measurement:
        self.asked += 1
        return super().measure(artifact, settings)


def test_nothing_is_measured_twice_and_failures_are_tried_again(url: str, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"model")
    artifact = Artifact.from_file(
        path, format="onnx", precision="int8", input_shape=(3, 8, 8), workload=Workload(1, 1, 1)
    )
    device = Counting()
    with Ledger(url) as ledger:
        path.write_bytes(b"changed")
        assert not measure_once(ledger, device, artifact, SETTINGS).ok
        path.write_bytes(b"model")
        first = measure_once(ledger, device, artifact, SETTINGS)
        assert first.ok and device.asked == 2
        assert measure_once(ledger, device, artifact, SETTINGS) == first
        assert device.asked == 2
        assert measure_once(ledger, Counting(seed=1), artifact, SETTINGS) != first
        assert len(ledger.measurements()) == 2


def test_success_of_another_process_is_what_everyone_sees(url: str, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"model")
    artifact = Artifact.from_file(path, format="onnx", precision="int8", input_shape=(3, 8, 8))
    theirs: Measurement | None = None
    with Ledger(url) as ledger:

        class Overtaken(FakeDevice):
            def measure(self, artifact: Artifact, settings: MeasureSettings) -> Measurement:
                nonlocal theirs
                theirs = Measurement(artifact.sha256, "onnx", "int8", "fake", settings, (1.0,))
                ledger.record(theirs, self.info().key)
                return Measurement(artifact.sha256, "onnx", "int8", "fake", settings, (2.0,))

        assert measure_once(ledger, Overtaken(), artifact, SETTINGS) == theirs


def test_concurrent_writers_never_double_a_row(url: str) -> None:
    writers = [start_writer(url, value, 25) for value in (1.0, 2.0, 3.0)]
    for writer in writers:
        _, errors = writer.communicate(timeout=120)
        assert writer.returncode == 0, errors
    with Ledger(url) as ledger:
        rows = ledger.measurements()
    assert len(rows) == 25
    assert {row.median_s for row in rows} <= {1.0, 2.0, 3.0}


def test_kill_in_the_middle_loses_nothing_that_was_recorded(url: str) -> None:
    with Ledger(url):
        pass
    recorded = 0
    for round_number in range(3):
        writer = start_writer(url, 1.0, recorded + 100_000)
        assert writer.stdout is not None
        for line in writer.stdout:
            if int(line) >= recorded + 20 + 7 * round_number:
                break
        os.kill(writer.pid, signal.SIGKILL)
        rest, _ = writer.communicate(timeout=60)
        said = [int(number) for number in rest.splitlines() if number.strip().isdigit()]
        recorded = max([int(line), *said]) + 1
        with Ledger(url) as ledger:
            rows = ledger.measurements()
        assert recorded <= len(rows) <= recorded + 1
        assert [row.artifact_sha256 for row in rows] == [f"{number:064x}" for number in range(len(rows))]


@pytest.mark.parametrize("content", [b"this is no database at all" * 100, b"SQLite format 3\0" + b"\xff" * 4000])
def test_damaged_database_is_one_clear_error_and_stays_as_it_is(
    sqlite_url: str, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(content)
    with pytest.raises(NasError, match="move it away") as caught:
        Ledger(sqlite_url)
    assert str(path) in str(caught.value)
    assert path.read_bytes() == content


def test_a_database_that_another_program_holds_is_told_as_such(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nas.ledger._BUSY_TIMEOUT_S", 0.05)
    with Ledger(sqlite_url) as ledger:
        other = sqlite3.connect(tmp_path / "ledger.sqlite")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(NasError, match=r"is locked; another program .* run again, which goes on") as caught:
            ledger.record(made(), "device")
        assert "move it away" not in str(caught.value)
        other.close()
        ledger.record(made(), "device")


def test_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NasError, match="folder has to exist"):
        Ledger(f"sqlite:///{tmp_path}/missing/ledger.sqlite")


@pytest.mark.parametrize(
    "damage", [lambda _: "{", lambda _: "[" * 100_000, lambda body: body.replace("[1.0", "[1" + "0" * 400)]
)
def test_damaged_row_is_an_error(sqlite_url: str, tmp_path: Path, damage: Callable[[str], str]) -> None:
    with Ledger(sqlite_url) as ledger:
        ledger.record(made(), "device")
        with sqlite3.connect(tmp_path / "ledger.sqlite") as connection:
            whole = connection.execute("SELECT body FROM measurements").fetchone()[0]
            assert damage(whole) != whole
            connection.execute("UPDATE measurements SET body = ?", (damage(whole),))
        connection.close()
        with pytest.raises(NasError, match="no measurement"):
            ledger.measurements()


@pytest.mark.parametrize(
    ("old", "new"), [('"measured"', '"guessed"'), ("0" * 64, "1" * 64), ('"min_count": ', '"min_count": 1')]
)
def test_a_row_that_is_something_else_than_its_key_says_is_an_error(
    sqlite_url: str, tmp_path: Path, old: str, new: str
) -> None:
    with Ledger(sqlite_url) as ledger:
        ledger.record(made(), "device")
        with sqlite3.connect(tmp_path / "ledger.sqlite") as connection:
            connection.execute("UPDATE measurements SET body = replace(body, ?, ?)", (old, new))
        connection.close()
        with pytest.raises(NasError, match="measures anew"):
            get(ledger)


@pytest.mark.parametrize("text", ["", "ledger.sqlite", "nosuch://host/name"])
def test_text_that_is_no_url_is_an_error(text: str) -> None:
    with pytest.raises(NasError, match="sqlite:///"):
        Ledger(text)


def test_password_is_never_shown() -> None:
    with pytest.raises(NasError) as caught:
        Ledger("postgresql+psycopg://user:secret@127.0.0.1:1/name?connect_timeout=1")
    assert "secret" not in str(caught.value)
    assert "127.0.0.1" in str(caught.value)


def test_table_can_be_made_in_postgresql() -> None:
    text = str(CreateTable(_Row.__table__, if_not_exists=True).compile(dialect=postgresql.dialect()))  # type: ignore[arg-type]
    assert "SERIAL" in text and "UNIQUE (artifact_sha256, device_key, settings_key)" in text


def test_a_full_disk_is_told_as_such(sqlite_url: str) -> None:
    with Ledger(sqlite_url) as ledger:
        ledger.record(made(), "device")
        event.listen(ledger._engine, "begin", lambda connection: connection.exec_driver_sql("PRAGMA max_page_count=1"))
        with pytest.raises(NasError, match="disk is full; free some space and run again"):
            for number in range(1, 1000):
                ledger.record(made(number, latencies_s=(0.1,) * 1000), "device")
