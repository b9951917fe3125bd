"""Pools on a real Ray cluster, with a real agent, some of whose units are away or had by others."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from ray.cluster_utils import Cluster

from devices import Artifact, DeviceError, FakeDevice, Format, Measurement, MeasureSettings, Workload, get_device
from devices.agent.limits import Limits
from devices.agent.server import Agent, Served
from nas.config import UnitSection, make_config
from nas.distributed import measuring
from nas.distributed.pool import PooledDevice
from nas.distributed.sharing import share_out
from nas.errors import NasError
from nas.ledger import Ledger
from nas.stages.measuring import run_campaign
from nas.stages.targets import Target, make_targets

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),  # on a busy machine Ray takes minutes to begin its processes
    pytest.mark.skipif(os.name != "posix", reason="kills processes by signal"),
]

SETTINGS = MeasureSettings(min_count=5)
AWAY = UnitSection(name="away", options={"url": "http://127.0.0.1:9", "unreachable_s": 1.0})


def test_whoever_is_there_measures_and_computes(
    cluster: Cluster, tmp_path: Path, tiny_artifacts: dict[Format, Artifact]
) -> None:
    agent = Agent({"chip": Served(get_device("fake"), "fake", {})}, tmp_path / "agent")
    agent.start()
    pool = PooledDevice("remote", {}, [AWAY, UnitSection(name="board", options={"url": agent.url})])
    assert pool.unavailable_reason() is None
    assert pool.info() == get_device("remote", {"url": agent.url}).info()
    assert pool.formats == FakeDevice.formats
    artifact, images = tiny_artifacts["onnx"], np.zeros((3, 3, 16, 16), np.float32)
    assert pool.measure(artifact, SETTINGS).latencies_s == FakeDevice().measure(artifact, SETTINGS).latencies_s
    with pool.open(artifact) as model:
        assert model.predict(images).shape == (3, 5)
        agent.stop()
        with pytest.raises(DeviceError, match=r"no unit .* board: no answer .* away: no answer"):
            model.predict(images)
    assert "no unit of the pool can be had" in str(pool.measure(artifact, SETTINGS).error)
    pool.close()


class Hangs(FakeDevice):
    """Over one file, for good."""

    def __init__(self, deadly: str) -> None:
        super().__init__()
        self.deadly = deadly

    def measure(self, artifact: Artifact, settings: MeasureSettings) -> Measurement:
        if artifact.sha256 == self.deadly:
            threading.Event().wait()
        return super().measure(artifact, settings)


def test_a_model_that_hangs_boards_costs_two_of_them_and_fails(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "share_out", partial(share_out, retry_s=0.5))
    files = {}
    for number, key in enumerate(map(str, range(10)), 1):
        path = tmp_path / f"{key}.onnx"
        path.write_text(key)
        work = Workload(1_000_000 * number, 1000, 1000)
        artifact = Artifact.from_file(path, format="onnx", precision="float32", input_shape=(3, 8, 8), workload=work)
        files[key] = {("onnx", "float32"): artifact}
    deadly, limits = files["3"]["onnx", "float32"].sha256, Limits(grace_s=2.0, shutdown_s=0.1)
    agents = [
        Agent({"chip": Served(Hangs(deadly), "fake", {})}, tmp_path / name, limits=limits) for name in ("a", "b", "c")
    ]
    for agent in agents:
        agent.start()
    units = [UnitSection(name=f"board{i}", options={"url": agent.url}) for i, agent in enumerate(agents)]
    quick = MeasureSettings(min_warmup_s=0, min_time_s=0, max_time_s=0.1, timeout_s=0.2, min_count=5)
    target = Target("chip", PooledDevice("remote", {}, units), "onnx", "float32", quick)
    with Ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}") as ledger:
        order = [(key, "chip") for key in files]
        made = run_campaign(ledger, [target], files, [order], sentinels=tmp_path / "sentinel").measurements
    target.device.close()
    reasons = [device.unavailable_reason() for device in (get_device("remote", unit.options) for unit in units)]
    for agent in agents:
        agent.stop()
    assert sum(reason is None for reason in reasons) == 1 and sum("hung" in str(reason) for reason in reasons) == 2
    assert [pair[0] for pair, measurement in made.items() if not measurement.ok] == ["3"]
    assert "2 times a unit was lost over this model (board" in str(made["3", "chip"].error)


def test_who_they_are_is_asked_where_they_are_and_takes_no_lease(
    cluster: Cluster, add_machine: Callable[..., Callable[[], None]], tiny_artifacts: dict[Format, Artifact]
) -> None:
    units = [UnitSection(name="lab-1", resource="lab-1"), UnitSection(name="lab-2", resource="lab-2")]
    with pytest.raises(DeviceError, match=r"not known: lab-1: no machine .*'lab-1'.*; lab-2: no machine"):
        PooledDevice("fake", {}, units).info()
    add_machine(resources={"lab-2": 1})
    holder, other = PooledDevice("fake", {}, units), PooledDevice("fake", {"seed": 3}, units)
    assert holder.measure(tiny_artifacts["onnx"], SETTINGS).ok
    assert other.unavailable_reason() is None and other.info() == FakeDevice(seed=3).info()
    holder.close()
    assert other.measure(tiny_artifacts["onnx"], SETTINGS).ok
    other.close()


def test_options_are_checked_before_anybody_is_asked() -> None:
    with pytest.raises(DeviceError, match="noise is -1"):
        PooledDevice("fake", {}, [UnitSection(name="a"), UnitSection(name="b", options={"noise": -1})])


def test_a_target_without_a_single_unit_is_told_before_the_run() -> None:
    given = {
        "space": {"name": "mobilenetv3_32"},
        "data": {"source": "digits"},
        "targets": [{"name": "board", "device": "remote"}],
        "pools": [{"device": "remote", "units": [AWAY.model_dump()]}],
    }
    with pytest.raises(NasError, match="target 'board': device 'remote' cannot be used here: away: no answer from"):
        make_targets(make_config(given))
