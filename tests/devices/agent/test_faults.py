"""Networks that are cut and slowed, agents that are killed, servers that are none: a row each, none lost or doubled."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from devices import Artifact, DeviceError, FakeDevice, MeasureSettings
from devices.agent.client import AgentClient, Patience, Request, UnreachableError
from devices.agent.server import Agent

Serve = Callable[..., Agent]
Model = Callable[..., Artifact]

# A board whose device measures for as long as a file is there, and writes down what it measured.
BOARD = """
import sys, time
from pathlib import Path
from devices import FakeDevice, register_device
from devices.agent.cli import main

place = Path(sys.argv[1])

@register_device("board")
class Board(FakeDevice):
    "A board."
    def measure(self, artifact, settings):
        with (place / "measured").open("a") as stream:
            stream.write(artifact.sha256 + "\\n")
        while (place / "busy").exists():
            time.sleep(0.01)
        return super().measure(artifact, settings)

main(["serve", "--device", "board", "--directory", str(place / "agent"), "--port", sys.argv[2]])
"""


class Board:
    """An agent in a process of its own."""

    def __init__(self, place: Path) -> None:
        self.place = place
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", BOARD, str(self.place), str(self.port)], stderr=subprocess.PIPE, text=True
        )
        assert self.process.stderr is not None
        line = self.process.stderr.readline()
        assert line.startswith(f"serving board at {self.url}"), line

    def end(self, how: int) -> str:
        self.process.send_signal(how)
        assert self.process.stderr is not None
        said = self.process.stderr.read()
        self.process.wait(20)
        self.process.stderr.close()
        return said

    def measured(self) -> list[str]:
        return (self.place / "measured").read_text().split()

    def wait_until_it_measures(self, times: int) -> None:
        until = time.monotonic() + 30
        while not (self.place / "measured").exists() or len(self.measured()) < times:
            assert time.monotonic() < until
            time.sleep(0.01)


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    made = Board(tmp_path)
    yield made
    (tmp_path / "busy").unlink(missing_ok=True)
    if made.process.poll() is None:
        made.end(signal.SIGKILL)


def measuring(device: Any, artifact: Artifact, settings: MeasureSettings) -> tuple[threading.Thread, list[Any]]:
    made: list[Any] = []
    thread = threading.Thread(target=lambda: made.append(device.measure(artifact, settings)))
    thread.start()
    return thread, made


def test_an_agent_killed_mid_measurement_and_restarted_loses_nothing(
    board: Board, remote: Any, model: Model, settings: MeasureSettings
) -> None:
    device = remote(board.url)
    assert device.measure(model(b"before"), settings).ok
    (board.place / "busy").touch()
    thread, made = measuring(device, model(b"during"), settings)
    board.wait_until_it_measures(2)
    board.end(signal.SIGKILL)
    (board.place / "busy").unlink()
    board.start()
    thread.join(120)
    assert made[0].error is None
    assert device.measure(model(b"after"), settings).ok
    during = model(b"during").sha256
    assert board.measured() == [model(b"before").sha256, during, during, model(b"after").sha256]


def test_a_model_that_ends_the_agent_every_time_is_given_up(
    board: Board, remote: Any, model: Model, settings: MeasureSettings
) -> None:
    (board.place / "busy").touch()
    device = remote(board.url)
    thread, made = measuring(device, model(), settings)
    for times in (1, 2):
        board.wait_until_it_measures(times)
        board.end(signal.SIGKILL)
        board.start()
    thread.join(120)
    assert "the agent ended 2 times" in made[0].error
    (board.place / "busy").unlink()
    assert device.measure(model(b"another"), settings).ok


def test_an_agent_that_is_told_to_stop_says_so_and_the_model_is_not_blamed(
    board: Board, remote: Any, model: Model, settings: MeasureSettings
) -> None:
    (board.place / "busy").touch()
    thread, made = measuring(remote(board.url), model(), settings)
    board.wait_until_it_measures(1)
    threading.Timer(0.2, (board.place / "busy").unlink).start()
    said = board.end(signal.SIGTERM)
    assert "\nstopping\n" in said and said.endswith("\nstopped\n")
    assert board.process.returncode == 0
    board.start()
    thread.join(120)
    assert made[0].ok
    assert len(board.measured()) == 1  # it had ended in time, and its result waited in the journal


def test_a_result_waits_in_the_journal_of_an_agent_that_was_killed(
    board: Board, remote: Any, model: Model, settings: MeasureSettings
) -> None:
    first = remote(board.url)
    made = first.measure(model(), settings)
    board.end(signal.SIGKILL)
    board.start()
    assert remote(board.url).measure(model(), settings) == made
    assert len(board.measured()) == 1


def test_a_network_that_is_cut_anywhere_costs_attempts_and_no_results(
    *, serve: Serve, remote: Any, proxy: Any, counting: Any, model: Model, settings: MeasureSettings
) -> None:
    network, url = proxy(serve({"cpu": counting}))
    artifact = model(os.urandom(200_000))
    device = remote(url)
    network.cut_after_sent = [0, 40, 10_000_000, 1, 300, 10_000_000, 10_000_000, 120_000, 150_000]
    for times, point in enumerate((0, 5, 20, 100, 115, 140, 180, 210), 1):  # in the first line, the headers, the body
        network.cut_after_received = [10_000_000, point, 10_000_000, point]
        assert device.measure(artifact, settings).error is None
        assert len(counting.measured) == times


def test_an_upload_goes_on_where_it_was_cut(
    serve: Serve, remote: Any, proxy: Any, model: Model, settings: MeasureSettings
) -> None:
    agent = serve({"cpu": FakeDevice()})
    network, url = proxy(agent)
    device = remote(url)
    assert device.measure(model(), settings).ok
    network.cut_after_sent = [10_000_000] * 3 + [700_000]  # acknowledgement, measurement, status, upload
    artifact = model(os.urandom(1_000_000))
    assert device.measure(artifact, settings).ok
    uploaded = agent._metrics._counts["uploaded_bytes_total", ()]
    assert 1_000_000 <= uploaded <= 1_000_010  # the part that had arrived was not sent again


def test_a_network_that_is_dead_is_a_row(
    serve: Serve, remote: Any, proxy: Any, model: Model, settings: MeasureSettings
) -> None:
    network, url = proxy(serve({"cpu": FakeDevice()}))
    device = remote(url, unreachable_s=0.5)
    assert device.measure(model(), settings).ok
    network.cut_after_sent = [0] * 1000
    assert "no answer from the agent" in str(device.measure(model(), settings).error)
    network.cut_after_sent = []
    assert device.measure(model(), settings).ok


def test_a_slow_network_is_no_error(
    serve: Serve, remote: Any, proxy: Any, model: Model, settings: MeasureSettings
) -> None:
    network, url = proxy(serve({"cpu": FakeDevice()}))
    network.pause_s = 0.02
    assert remote(url).measure(model(os.urandom(20_000)), settings).ok


ANSWERS = {
    "no HTTP": b"SSH-2.0-OpenSSH_9.2\r\n",
    "nothing": b"",
    "no agent": b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n<html></html>\r\n",
    "another service": b'HTTP/1.1 200 OK\r\nContent-Length: 32\r\n\r\n{"name": "other", "versions": []}',
    "an endless header": b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 1000,
    "a huge body": b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n{}",
    "deep JSON": b"HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n" + b"[" * 20000,
}


@pytest.fixture
def impostor() -> Iterator[Callable[[bytes], str]]:
    """Something that listens and says the same to everybody."""
    listeners: list[socket.socket] = []

    def start(answer: bytes) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def serve() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                with client:
                    client.recv(65536)
                    client.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield start
    for listener in listeners:
        listener.close()


@pytest.mark.parametrize("kind", sorted(ANSWERS))
def test_what_is_no_agent_is_a_row(
    kind: str, impostor: Callable[[bytes], str], remote: Any, model: Model, settings: MeasureSettings
) -> None:
    failed = remote(impostor(ANSWERS[kind]), unreachable_s=0.05).measure(model(), settings)
    assert "agent" in str(failed.error)


@pytest.mark.parametrize("seconds", [b"1e999", b"-1.0", b"1e7", b'"long"'])
def test_an_agent_that_asks_for_absurd_patience_is_a_row(
    *, seconds: bytes, serve: Serve, remote: Any, model: Model, settings: MeasureSettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    agent = serve({"cpu": FakeDevice()})
    monkeypatch.setattr(
        "devices.agent.server.wire.dump",
        lambda message: json.dumps(message).encode().replace(b'"prediction_s": 300.0', b'"prediction_s": ' + seconds),
    )
    device = remote(agent.url)
    assert "'prediction_s' is" in str(device.measure(model(), settings).error)
    with pytest.raises(DeviceError, match="'prediction_s' is"):
        device.open(model())


def test_an_answer_that_drips_for_ever_is_given_up() -> None:
    listener, cut = socket.create_server(("127.0.0.1", 0)), threading.Event()

    def drip() -> None:
        client, _ = listener.accept()
        with client, contextlib.suppress(OSError):
            client.recv(65536)
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\nConnection: close\r\n\r\n")
            for _ in range(5000):
                client.sendall(b" ")
                time.sleep(0.05)
        cut.set()

    threading.Thread(target=drip, daemon=True).start()
    patience = Patience(connect_s=1.0, answer_s=0.5, unreachable_s=0.1, total_s=0.1)
    client = AgentClient(f"http://127.0.0.1:{listener.getsockname()[1]}", None, None, patience)
    with pytest.raises(UnreachableError, match="no answer"):
        client.ask(Request("GET", "/v1/devices"))
    assert cut.wait(60)
    listener.close()


def test_an_agent_of_a_later_version_is_a_row_that_says_so(
    impostor: Callable[[bytes], str], remote: Any, model: Model, settings: MeasureSettings
) -> None:
    body = json.dumps({"name": "hwnas-agent", "versions": [7, 8], "version": 8}).encode()
    url = impostor(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    failed = remote(url).measure(model(), settings)
    assert "speaks version 7 or 8 of the protocol, this side 1; update this side" in str(failed.error)


def test_a_full_disk_is_a_row(serve: Serve, remote: Any, model: Model, settings: MeasureSettings) -> None:
    agent = serve({"cpu": FakeDevice()}, free_bytes=2**60)
    failed = remote(agent.url).measure(model(), settings)
    assert "there is no room for 5 more bytes" in str(failed.error)
    assert "--disk-mb" in str(failed.error)


def test_a_journal_that_cannot_be_written_is_a_row(
    serve: Serve, remote: Any, model: Model, settings: MeasureSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = serve({"cpu": FakeDevice()})
    device = remote(agent.url)
    assert device.measure(model(), settings).ok
    database = agent._journal._database

    class Full:
        def execute(self, *_: object) -> None:
            raise sqlite3.OperationalError("database or disk is full")

        def close(self) -> None:
            database.close()

    monkeypatch.setattr(agent._journal, "_database", Full())
    assert "disk is full" in str(device.measure(model(b"second"), settings).error)
    monkeypatch.setattr(agent._journal, "_database", database)
    assert device.measure(model(b"second"), settings).ok


LIMITED = """
import hashlib, io, resource, sys
from pathlib import Path
from devices.agent.limits import Limits
from devices.agent.store import ArtifactStore, Piece
from devices.agent.protocol import RefusedError

resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
store = ArtifactStore(Path(sys.argv[1]), Limits(free_bytes=0), set)
content = bytes(2000)
try:
    store.receive(hashlib.sha256(content).hexdigest(), Piece(0, 2000, 2000), io.BytesIO(content))
except RefusedError as refused:
    print(refused.status, refused, store.used_bytes)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no RLIMIT_FSIZE")
def test_a_disk_that_fills_up_during_an_upload_is_a_refusal_and_leaves_nothing(tmp_path: Path) -> None:
    told = subprocess.run([sys.executable, "-c", LIMITED, str(tmp_path)], capture_output=True, text=True, check=True)
    assert told.stdout.startswith("507 the disk is full (File too large)")
    assert told.stdout.endswith(" 0\n")
