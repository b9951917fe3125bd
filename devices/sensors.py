"""What a Linux machine tells of its processor's clock, temperature, energy and of time spent waiting for a core.

Each is none where the machine has no such sensor, or does not let this process read it: virtual machines have hardly
any, and energy can often be read by root alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

_CPUS = Path("/sys/devices/system/cpu")
_THERMAL = Path("/sys/class/thermal")
_HWMON = Path("/sys/class/hwmon")
_POWERCAP = Path("/sys/class/powercap")
_TASKS = Path("/proc/self/task")

_PROCESSOR_ZONES = re.compile(r"x86_pkg_temp|.*cpu.*|.*soc.*|acpitz|bcm2835_thermal", re.IGNORECASE)
_PROCESSOR_CHIPS = ("coretemp", "k10temp", "zenpower", "cpu_thermal")


def clock_mhz(cores: Sequence[int]) -> float | None:
    """Mean present clock of these cores."""
    found = [_number(_CPUS / f"cpu{core}" / "cpufreq" / "scaling_cur_freq") for core in cores]
    known = [kilohertz for kilohertz in found if kilohertz]
    return sum(known) / len(known) / 1e3 if known else None


def governor(cores: Sequence[int]) -> str | None:
    """What governs the clock of these cores, each kind once."""
    found = {_text(_CPUS / f"cpu{core}" / "cpufreq" / "scaling_governor") for core in cores}
    return ",".join(sorted(name for name in found if name)) or None


def temperature_c(thermal: Path = _THERMAL, hwmon: Path = _HWMON) -> float | None:
    """Temperature of the processor in degrees Celsius, that of its hottest place."""
    zones = [zone / "temp" for zone in _entries(thermal, "thermal_zone*") if _is_processor(zone)]
    chips = [chip for chip in _entries(hwmon, "hwmon*") if _text(chip / "name") in _PROCESSOR_CHIPS]
    places = [*zones, *(place for chip in chips for place in _entries(chip, "temp*_input"))]
    known = [value / 1e3 for value in map(_number, places) if value is not None]
    return max(known) if known else None


def throttle_count(cores: Sequence[int]) -> int | None:
    """How often these cores have slowed down for their temperature, since the machine started."""
    found = [_number(_CPUS / f"cpu{core}" / "thermal_throttle" / "core_throttle_count") for core in cores]
    known = [count for count in found if count is not None]
    return round(sum(known)) if known else None


def energy_j(powercap: Path = _POWERCAP) -> float | None:
    """Joules that all processor packages took, by Intel's and AMD's running average power limit (RAPL).

    The counters begin anew after a while.
    """
    zones = [zone for zone in _entries(powercap, "intel-rapl:*") if (_text(zone / "name") or "").startswith("package")]
    known = [_number(zone / "energy_uj") for zone in zones]
    if not known or None in known:
        return None
    return sum(value for value in known if value is not None) / 1e6


def waited_s(tasks: Path = _TASKS) -> float | None:
    """Seconds that all threads of this process were ready to run and waited for a core (proc(5), schedstat)."""
    total = None
    for task in _entries(tasks, "*"):
        words = (_text(task / "schedstat") or "").split()
        if len(words) == 3 and words[1].isdigit():
            total = (total or 0.0) + int(words[1]) / 1e9
    return total


def _is_processor(zone: Path) -> bool:
    return _PROCESSOR_ZONES.fullmatch(_text(zone / "type") or "") is not None


def _entries(folder: Path, pattern: str) -> Iterable[Path]:
    try:
        return sorted(folder.glob(pattern))
    except OSError:
        return []


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return None


def _number(path: Path) -> float | None:
    try:
        return float(_text(path) or "")
    except ValueError:
        return None
