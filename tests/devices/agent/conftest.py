"""Agents at loopback with devices that take no time, and a network in between that can be cut and slowed."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from devices import Artifact, Device, FakeDevice, Measurement, MeasureSettings, RemoteDevice, Workload
from devices.agent.limits import Limits
from devices.agent.server import Agent, Served

SETTINGS = MeasureSettings(min_warmup_s=0.0, min_time_s=0.0, min_count=5, max_time_s=0.1, timeout_s=10.0)


class Counting(FakeDevice):
    """Remembers what it measured; waits, hangs or fails when told."""

    def __init__(self) -> None:
        super().__init__()
        self.measured: list[str] = []
        self.begun = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()
        self.error: BaseException | None = None
        self.simulated = True
        self.at_once = 0
        self.most_at_once = 0
        self._lock = threading.Lock()

    def measure(self, artifact: Artifact, settings: MeasureSettings) -> Measurement:
        with self._lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            self.measured.append(artifact.sha256)
        self.begun.set()
        self.go_on.wait(120)
        try:
            if self.error:
                raise self.error
            made = super().measure(artifact, settings)
            return made if self.simulated else replace(made, environment=())
        finally:
            with self._lock:
                self.at_once -= 1


class Proxy:
    """Passes bytes between clients and an agent; each new connection may be cut after some bytes to or from it."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.cut_after_sent: list[int] = []
        self.cut_after_received: list[int] = []
        self.pause_s = 0.0
        self.connections = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            most_sent = self.cut_after_sent.pop(0) if self.cut_after_sent else None
            most_received = self.cut_after_received.pop(0) if self.cut_after_received else None
            try:
                agent = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                client.close()
                continue
            pair = (client, agent)
            threading.Thread(target=self._pass, args=(client, agent, most_sent, pair), daemon=True).start()
            threading.Thread(target=self._pass, args=(agent, client, most_received, pair), daemon=True).start()

    def _pass(
        self, source: socket.socket, to: socket.socket, most: int | None, pair: tuple[socket.socket, ...]
    ) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while block := source.recv(1024 if self.pause_s else 65536):
                if most is not None and passed + len(block) >= most:
                    to.sendall(block[: most - passed])
                    break
                to.sendall(block)
                passed += len(block)
                time.sleep(self.pause_s)
            else:
                to.shutdown(socket.SHUT_WR)
                return
        for end in pair:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def settings() -> MeasureSettings:
    return SETTINGS


@pytest.fixture
def counting() -> Iterator[Counting]:
    device = Counting()
    yield device
    device.go_on.set()


@pytest.fixture
def log() -> list[str]:
    return []


@pytest.fixture
def serve(tmp_path: Path, log: list[str]) -> Iterator[Callable[..., Agent]]:
    """Start an agent for devices by name; the keywords are the agent's, and those of its limits."""
    agents: list[Agent] = []

    def start(devices: dict[str, Device], directory: str = "agent", **options: Any) -> Agent:
        bounds = {name: options.pop(name) for name in list(options) if name in Limits.__dataclass_fields__}
        limits = replace(Limits(), **{"shutdown_s": 0.2, **bounds})
        served = {name: Served(device, "fake", {}) for name, device in devices.items()}
        agents.append(Agent(served, tmp_path / directory, limits=limits, log=log.append, **options))
        agents[-1].start()
        return agents[-1]

    yield start
    for agent in agents:
        agent.stop()


@pytest.fixture
def remote() -> Iterator[Callable[..., RemoteDevice]]:
    """A client of a url, and not a patient one."""
    made: list[RemoteDevice] = []

    def make(url: str, **options: Any) -> RemoteDevice:
        made.append(RemoteDevice(url=url, **{"unreachable_s": 60.0, "wait_s": 120.0, **options}))
        return made[-1]

    yield make
    for device in made:
        device.close()


@pytest.fixture
def proxy() -> Iterator[Callable[[Agent], tuple[Proxy, str]]]:
    """A proxy before an agent, and its url."""
    made: list[Proxy] = []

    def start(agent: Agent) -> tuple[Proxy, str]:
        made.append(Proxy(int(agent.url.rpartition(":")[2])))
        return made[-1], f"http://127.0.0.1:{made[-1].port}"

    yield start
    for it in made:
        it.close()


@pytest.fixture
def model(tmp_path: Path) -> Callable[..., Artifact]:
    """A file that only a simulated device can measure."""

    def write(content: bytes = b"model") -> Artifact:
        path = tmp_path / f"{content[:20].hex()}{len(content)}.onnx"
        path.write_bytes(content)
        work = Workload(1_000_000, 1000, 1000)
        return Artifact.from_file(path, format="onnx", precision="float32", input_shape=(3, 8, 8), workload=work)

    return write
