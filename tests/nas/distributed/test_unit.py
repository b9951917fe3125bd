from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from devices import Artifact, FakeDevice, Format, MeasureSettings, Workload
from devices.agent.limits import Limits
from devices.agent.server import Agent, Served
from nas.distributed.sharing import UnfitError
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
            with pytest.raises(UnfitError, match="no room for 5 more bytes"):
                unit.measure(Sent.read(artifact), SETTINGS)
        else:
            assert unit.measure(Sent.read(artifact), SETTINGS).ok
    finally:
        unit.close()
        agent.stop()


def test_model_files_are_gone_once_they_are_measured_and_a_machine_without_room_for_them_is_unfit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_artifacts: dict[Format, Artifact]
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    sent = Sent.read(tiny_artifacts["onnx"])
    unit = UnitProcess(Wanted("fake", {}))
    (folder,) = tmp_path.glob("unit-*")
    try:
        assert unit.measure(sent, SETTINGS).ok
        assert unit.predict(sent, 1, np.zeros((2, 3, 16, 16), np.float32)).shape == (2, 5)
        assert list(folder.iterdir()) == []
        folder.rmdir()  # as what cleans /tmp does
        with pytest.raises(UnfitError, match=r"cannot be written on its machine .*No such file"):
            unit.measure(sent, SETTINGS)
    finally:
        folder.mkdir(exist_ok=True)
        unit.close()
