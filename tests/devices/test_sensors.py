from __future__ import annotations

from pathlib import Path

import pytest

from devices import sensors


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n", encoding="ascii")


def test_energy_is_that_of_all_packages(tmp_path: Path) -> None:
    assert sensors.energy_j(tmp_path) is None
    write(tmp_path / "intel-rapl:0", name="package-0", energy_uj="2500000")
    write(tmp_path / "intel-rapl:1", name="package-1", energy_uj="500000")
    write(tmp_path / "intel-rapl:0:0", name="core", energy_uj="900000")
    assert sensors.energy_j(tmp_path) == 3.0
    (tmp_path / "intel-rapl:1" / "energy_uj").unlink()  # one that may not be read makes the sum nobody's
    assert sensors.energy_j(tmp_path) is None


def test_temperature_is_of_the_processor_and_its_hottest_place(tmp_path: Path) -> None:
    thermal, hwmon = tmp_path / "thermal", tmp_path / "hwmon"
    assert sensors.temperature_c(thermal, hwmon) is None
    write(thermal / "thermal_zone0", type="cpu-thermal", temp="48200")
    write(thermal / "thermal_zone1", type="battery", temp="90000")
    assert sensors.temperature_c(thermal, hwmon) == 48.2
    write(hwmon / "hwmon3", name="k10temp", temp1_input="61500", temp2_input="nonsense")
    write(hwmon / "hwmon4", name="nvme", temp1_input="70000")
    assert sensors.temperature_c(thermal, hwmon) == 61.5


def test_clock_governor_and_throttling_are_of_the_cores_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sensors, "_CPUS", tmp_path)
    assert (sensors.clock_mhz([0]), sensors.governor([0]), sensors.throttle_count([0])) == (None, None, None)
    for core, kilohertz in enumerate(("1000000", "3000000", "9000000")):
        write(tmp_path / f"cpu{core}", cpufreq__scaling_cur_freq=kilohertz, cpufreq__scaling_governor="powersave")
    write(tmp_path / "cpu1", thermal_throttle__core_throttle_count="7")
    assert sensors.clock_mhz([0, 1]) == 2000.0
    assert sensors.governor([0, 1]) == "powersave"
    assert sensors.throttle_count([0, 1]) == 7


def test_waiting_is_that_of_all_threads(tmp_path: Path) -> None:
    assert sensors.waited_s(tmp_path) is None
    write(tmp_path, **{"12__schedstat": "5000000000 250000000 17", "13__schedstat": "1 500000000 2", "14__comm": "x"})
    assert sensors.waited_s(tmp_path) == 0.75
