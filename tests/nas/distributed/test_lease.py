"""Leases on a real Ray cluster: one run at a time, given back by whoever dies."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from ray import cloudpickle
from ray.cluster_utils import Cluster

from devices import Artifact, DeviceError, FakeDevice, Measurement, MeasureSettings, Workload
from nas.config import UnitSection
from nas.distributed import lease as lease_module
from nas.distributed.lease import Lease
from nas.distributed.sharing import LostError
from nas.distributed.unit import Wanted

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),  # on a busy machine Ray takes minutes to begin its processes
    pytest.mark.skipif(os.name != "posix", reason="kills processes by signal"),
]

SETTINGS = MeasureSettings(min_count=5)
FAKE = Wanted("fake", {})

JOB = """
import sys, time
from pathlib import Path
import ray
from devices import Artifact, FakeDevice, MeasureSettings, Workload
from nas.config import UnitSection
from nas.distributed.lease import Lease

address, model, log, rounds = sys.argv[1:]

class Logged(FakeDevice):
    def measure(self, artifact, settings):
        begun = time.monotonic()
        time.sleep(0.05)
        with open(log, "a") as file:
            file.write(f"{begun} {time.monotonic()}\\n")
        return super().measure(artifact, settings)

class Wanted:
    def make(self):
        return Logged()

artifact = Artifact.from_file(
    Path(model), format="onnx", precision="float32", input_shape=(3, 8, 8), workload=Workload(1000, 10, 10)
)
ray.init(address=address, log_to_driver=False)
for _ in range(int(rounds)):
    lease = Lease(UnitSection(name="board"), Wanted(), FakeDevice().info(), print)
    for _ in range(4):
        assert lease.measure(artifact, MeasureSettings(min_count=5)).ok
    print("has it", flush=True)
    if rounds == "1":
        time.sleep(1000)
    lease.close()
"""
"""A run that has a unit for four measurements, as often as it is told; if that is once, it does not give it back."""


class Endless(FakeDevice):
    def measure(self, artifact: Artifact, settings: MeasureSettings) -> Measurement:
        time.sleep(1000)
        return super().measure(artifact, settings)


class WantsEndless(Wanted):
    def make(self) -> Endless:
        return Endless()


class Deadly(FakeDevice):
    def measure(self, artifact: Artifact, settings: MeasureSettings) -> Measurement:
        os._exit(1)


class WantsDeadly(Wanted):
    def make(self) -> Deadly:
        return Deadly()


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"model")
    work = Workload(1000, 10, 10)
    return Artifact.from_file(path, format="onnx", precision="float32", input_shape=(3, 8, 8), workload=work)


@pytest.fixture
def lease() -> Iterator[Callable[..., Lease]]:
    """Makes leases, which are given back when the test ends."""
    made = []

    def make(wanted: Wanted = FAKE, resource: str | None = None, note: Callable[[str], None] = print) -> Lease:
        made.append(Lease(UnitSection(name="board", resource=resource), wanted, FakeDevice().info(), note))
        return made[-1]

    yield make
    for each in made:
        each.close()


@contextmanager
def job(cluster: Cluster, artifact: Artifact, log: Path, rounds: int) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", JOB, cluster.address, str(artifact.path), str(log), str(rounds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def test_two_runs_never_measure_on_one_unit_at_once(cluster: Cluster, artifact: Artifact, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with job(cluster, artifact, log, 2) as one, job(cluster, artifact, log, 2) as other:
        assert (one.wait(600), other.wait(600)) == (0, 0)
    times = sorted(tuple(map(float, line.split())) for line in log.read_text().splitlines())
    assert len(times) == 2 * 2 * 4
    assert all(end <= begin for (_, end), (begin, _) in pairwise(times))


def test_a_run_that_dies_gives_its_units_back(
    cluster: Cluster,
    lease: Callable[..., Lease],
    artifact: Artifact,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lease_module, "_LOOKS_BEFORE_TOLD", 1)
    told, had = [], threading.Event()

    def take() -> None:
        lease(note=told.append).check()
        had.set()

    with job(cluster, artifact, tmp_path / "log", 1) as other:
        assert other.stdout is not None and other.stdout.readline() == "has it\n"
        waiting = threading.Thread(target=take)
        waiting.start()
        assert not had.wait(5)
        assert told == ["another run has the lease of board; waiting for it"]
        other.kill()
        waiting.join()
    assert had.is_set()


def test_a_lost_process_is_begun_anew_and_asked_again(
    cluster: Cluster, lease: Callable[..., Lease], artifact: Artifact, kill_process: Callable[[str], bool]
) -> None:
    held = lease()
    expected = held.measure(artifact, SETTINGS)
    assert expected.ok and expected == FakeDevice().measure(artifact, SETTINGS)
    assert kill_process("UnitProcess")
    assert held.measure(artifact, SETTINGS) == expected


def test_a_model_that_ends_every_process_loses_the_unit_which_is_well_when_asked(
    cluster: Cluster, lease: Callable[..., Lease], artifact: Artifact
) -> None:
    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # Ray's processes cannot import this file
    held = lease(WantsDeadly("fake", {}))
    with pytest.raises(LostError, match="no process stays alive there"):
        held.measure(artifact, SETTINGS)
    held.check()
    assert not held.closed


def test_a_machine_that_dies_gives_its_unit_back_and_may_return(
    add_machine: Callable[..., Callable[[], None]], lease: Callable[..., Lease], artifact: Artifact
) -> None:
    held = lease(resource="board")
    with pytest.raises(LostError, match=r"no machine .* has the resource 'board'; start Ray .* '\{\"board\": 1\}'"):
        held.check()
    kill_machine = add_machine(resources={"board": 1})
    assert held.measure(artifact, SETTINGS).ok
    kill_machine()
    with pytest.raises(LostError, match="no machine of the Ray cluster has the resource 'board'"):
        while True:  # the process outlives its machine, as far as Ray can kill one here, by a moment
            assert held.measure(artifact, SETTINGS).ok
    add_machine(resources={"board": 1})
    assert held.measure(artifact, SETTINGS).ok


def test_what_is_given_back_answers_nobody(cluster: Cluster, lease: Callable[..., Lease], artifact: Artifact) -> None:
    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # Ray's processes cannot import this file
    held = lease(WantsEndless("fake", {}))
    held.check()
    closing = threading.Timer(2.0, held.close)
    closing.start()
    with pytest.raises(LostError):
        held.measure(artifact, SETTINGS)
    assert held.closed
    with pytest.raises(LostError, match="given back"):
        held.check()
    lease().check()


def test_a_unit_that_does_not_work_is_lost_and_an_unlike_one_is_refused(
    cluster: Cluster, lease: Callable[..., Lease], artifact: Artifact
) -> None:
    away = lease(Wanted("remote", {"url": "http://127.0.0.1:9", "unreachable_s": 1.0}))
    with pytest.raises(LostError, match="no answer from the agent"):
        away.check()
    with pytest.raises(LostError, match="no answer from the agent"):
        away.measure(artifact, SETTINGS)
    with pytest.raises(DeviceError, match="units of a pool have to be equal"):
        lease(Wanted("fake", {"seed": 1})).check()


def test_a_file_that_has_changed_is_a_failed_measurement(lease: Callable[..., Lease], artifact: Artifact) -> None:
    artifact.path.write_bytes(b"another")
    assert "has changed" in str(lease().measure(artifact, SETTINGS).error)
