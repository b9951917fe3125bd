from __future__ import annotations

from pathlib import Path

import pytest

from devices import Artifact, FakeDevice, MeasureSettings, Workload
from devices.agent.limits import Limits
from devices.agent.server import Agent, Served
from nas.distributed.sharing import LostError
from nas.distributed.unit import Sent, UnitProcess, Wanted

SETTINGS = MeasureSettings(min_warmup_s=0.0, min_time_s=0.0, min_count=5, max_time_s=0.1, timeout_s=10.0)


@pytest.mark.parametrize(("free_bytes", "lost"), [(0, False), (2**60, True)])
def test_board_that_can_measure_nothing_is_lost_and_fails_no_network(
    free_bytes: int, lost: bool, tmp_path: Path
) -> None:
    (tmp_path / "model.onnx").write_bytes(b"model")
    work = Workload(1_000_000, 1000, 1000)
    artifact = Artifact.from_file(
        tmp_path / "model.onnx", format="onnx", precision="float32", input_shape=(3, 8, 8), workload=work
    )
    limits = Limits(free_bytes=free_bytes, shutdown_s=0.2)
    agent = Agent({"cpu": Served(FakeDevice(), "fake", {})}, tmp_path / "agent", limits=limits)
    agent.start()
    unit = UnitProcess(Wanted("remote", {"url": agent.url}))
    try:
        if lost:
            with pytest.raises(LostError, match="no room for 5 more bytes"):
                unit.measure(Sent.read(artifact), SETTINGS)
        else:
            assert unit.measure(Sent.read(artifact), SETTINGS).ok
    finally:
        unit.close()
        agent.stop()
