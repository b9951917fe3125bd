from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import event

from devices import Artifact, DeviceInfo, FakeDevice, Measurement, MeasureSettings, Workload
from nas.campaign import Pair
from nas.errors import NasError
from nas.ledger import Ledger, measure_once
from nas.stages.measuring import Measured, run_campaign
from nas.stages.targets import Target
from nas.visits import BOOT, TIME, describe

SETTINGS = MeasureSettings(min_count=20)
KEYS = [f"network{i}" for i in range(6)]
ORDERS: list[list[Pair]] = [[(key, "chip") for key in KEYS], [(key, "chip") for key in reversed(KEYS)]]


class Stopping(FakeDevice):
    """Counts measurements, and is interrupted when there were as many as given."""

    def __init__(self, most: int = 1000, kind: str = "simulated") -> None:
        super().__init__()
        self.asked: list[tuple[str, str]] = []
        self.most, self.kind = most, kind

    def info(self) -> DeviceInfo:
        return replace(super().info(), kind=self.kind)  # type: ignore[arg-type]

    def measure(self, artifact: Artifact, settings: MeasureSettings) -> Measurement:
        if len(self.asked) >= self.most:
            raise KeyboardInterrupt
        self.asked.append((artifact.sha256, settings.key))
        made = super().measure(artifact, settings)
        return made if self.kind == "simulated" else replace(made, environment=(("cpu", "made up"),))


@pytest.fixture
def artifacts(tmp_path: Path) -> dict[str, dict[tuple[str, str], Artifact]]:
    found = {}
    for number, key in enumerate(KEYS, 1):
        path = tmp_path / f"{key}.onnx"
        path.write_bytes(key.encode())
        work = Workload(10_000_000 * number, 1000, 1000)
        found[key] = Artifact.from_file(path, format="onnx", precision="float32", input_shape=(3, 8, 8), workload=work)
    return {key: {("onnx", "float32"): artifact} for key, artifact in found.items()}


def run(ledger: Ledger, device: FakeDevice, artifacts: object, folder: Path) -> Measured:
    target = Target("chip", device, "onnx", "float32", SETTINGS)
    return run_campaign(ledger, [target], artifacts, ORDERS, sentinels=folder / "sentinel")  # type: ignore[arg-type]


def test_measurements_hold_both_passes_and_are_found_by_others(
    artifacts: dict[str, dict[tuple[str, str], Artifact]], tmp_path: Path
) -> None:
    device = Stopping()
    with Ledger(f"sqlite:///{tmp_path / 'a.sqlite'}") as ledger:
        measured = run(ledger, device, artifacts, tmp_path)
        assert list(measured.measurements) == ORDERS[0]
        assert len(device.asked) == len(set(device.asked)) == 12
        for (key, _), measurement in measured.measurements.items():
            assert measurement.settings == SETTINGS and len(measurement.latencies_s) == 20
            assert len(set(measurement.latencies_s)) == 20  # the second pass has a noise of its own
            assert measure_once(ledger, device, artifacts[key]["onnx", "float32"], SETTINGS) == measurement
        assert len(device.asked) == 12
    quality = measured.quality["chip"]
    assert quality["agreement"]["spearman"] == 1.0 and quality["flags"] == {} and quality["sentinels"] == 0
    assert "two passes agree" in describe(quality) and "nothing flagged" in describe(quality)
    assert not (tmp_path / "sentinel").exists()


def test_interrupted_anywhere_it_goes_on_and_measures_nothing_twice(
    artifacts: dict[str, dict[tuple[str, str], Artifact]], tmp_path: Path
) -> None:
    with Ledger(f"sqlite:///{tmp_path / 'whole.sqlite'}") as ledger:
        whole = run(ledger, Stopping(), artifacts, tmp_path)
    asked: list[tuple[str, str]] = []
    with Ledger(f"sqlite:///{tmp_path / 'parts.sqlite'}") as ledger:
        for most in (0, 1, 4, 3, 2, 100):
            device = Stopping(most)
            with contextlib.suppress(KeyboardInterrupt):
                parts = run(ledger, device, artifacts, tmp_path)
            asked += device.asked
    assert len(asked) == len(set(asked)) == 12
    assert parts == whole


def test_a_real_device_is_watched_by_its_sentinel(
    artifacts: dict[str, dict[tuple[str, str], Artifact]], tmp_path: Path
) -> None:
    device = Stopping(kind="cpu")
    with Ledger(f"sqlite:///{tmp_path / 'a.sqlite'}") as ledger:
        measured = run(ledger, device, artifacts, tmp_path)
        kept = ledger.measurements()
    assert measured.quality["chip"]["sentinels"] == 3  # before, between the passes, after
    assert (tmp_path / "sentinel" / "model.onnx").is_file()
    assert all(m.drift is not None and {BOOT, TIME} <= set(dict(m.environment)) for m in measured.measurements.values())
    assert len(kept) == 12 + 3 + 6


def test_a_full_disk_loses_nothing_that_was_kept(
    artifacts: dict[str, dict[tuple[str, str], Artifact]], tmp_path: Path
) -> None:
    url, device = f"sqlite:///{tmp_path / 'a.sqlite'}", Stopping()
    with Ledger(url) as ledger:
        event.listen(ledger._engine, "begin", lambda connection: connection.exec_driver_sql("PRAGMA max_page_count=6"))
        with pytest.raises(NasError, match="free some space and run again"):
            run(ledger, device, artifacts, tmp_path)
        kept = len(ledger.measurements())
    assert 0 < kept < 18
    again = Stopping()
    with Ledger(url) as ledger:
        run(ledger, again, artifacts, tmp_path)
        assert len(ledger.measurements()) == 18
    assert len(again.asked) == 12 - min(kept, 12)
