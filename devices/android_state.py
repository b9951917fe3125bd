"""What a phone is and how it is doing: identity, governor, clocks, temperature. What it does not tell is left out."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Callable, Mapping, Sequence

Shell = Callable[[Sequence[str]], str]
"""Runs a program on the phone and gives what it wrote, whether it succeeded or not."""

_CPUFREQ = "/sys/devices/system/cpu/cpu{}/cpufreq/{}"
_THERMAL = "/sys/class/thermal"
_PROPERTY = re.compile(r"^\[([^\]]+)\]: \[(.*)\]$", re.MULTILINE)
_COLDEST_C, _HOTTEST_C = -40.0, 150.0
"""What lies outside is no temperature of a phone that works."""


def read_properties(shell: Shell) -> dict[str, str]:
    """The phone's system properties, such as ``ro.product.model``."""
    return dict(_PROPERTY.findall(shell(["getprop"]).replace("\r", "")))


def count_cores(shell: Shell) -> int:
    """Processors of the phone, asleep or not; 0 where it does not tell."""
    last = re.search(r"(\d+)\s*$", shell(["cat", "/sys/devices/system/cpu/possible"]))
    return int(last.group(1)) + 1 if last else 0


def read_state(shell: Shell, cores: Sequence[int]) -> dict[str, str]:
    """Governor and clocks of some cores, temperatures and throttling, as pairs of texts.

    Raises:
        DeviceError: the phone cannot be reached.
    """
    found: dict[str, str] = {}
    files = read_files(
        shell,
        [
            _CPUFREQ.format(core, name)
            for core in cores
            for name in ("scaling_governor", "scaling_cur_freq", "scaling_max_freq")
        ],
    )
    governors = sorted({text for path, text in files.items() if path.endswith("governor")})
    if governors:
        found["governor"] = ",".join(governors)
    for name, ending in (("clock_hz", "cur_freq"), ("most_clock_hz", "max_freq")):
        clocks = [int(text) * 1000 for path, text in files.items() if path.endswith(ending) and text.isdigit()]
        if clocks:
            found[name] = str(max(clocks))
    found |= _zones(shell)
    battery = re.search(r"^\s*temperature: (-?\d+)\s*$", shell(["dumpsys", "battery"]), re.MULTILINE)
    if battery:
        found["battery_temperature_c"] = f"{int(battery.group(1)) / 10:.1f}"
    status = re.search(r"^Thermal Status: (\d+)", shell(["dumpsys", "thermalservice"]), re.MULTILINE)
    if status:
        found["thermal_status"] = status.group(1)
    return found


def throttling(before: Mapping[str, str], after: Mapping[str, str]) -> str | None:
    """Why the measurement between two states deserves doubt, or none."""
    if int(after.get("thermal_status", 0)) > 0:
        return f"the phone throttles: its thermal status is {after['thermal_status']} (0 is none); let it cool down"
    limits = [int(state["most_clock_hz"]) for state in (before, after) if "most_clock_hz" in state]
    if len(limits) == 2 and limits[0] != limits[1]:
        return f"the highest clock that is allowed went from {limits[0]} to {limits[1]} Hz meanwhile"
    return None


def read_files(shell: Shell, paths: Sequence[str]) -> dict[str, str]:
    """The first line of every file that can be read, by its path."""
    if not paths:
        return {}
    text = shell(["grep", "-H", "-s", "-m", "1", "", *paths])
    lines = (line.strip().partition(":") for line in text.splitlines())
    return {path: value.strip() for path, colon, value in lines if colon and path in paths}


def _zones(shell: Shell) -> dict[str, str]:
    """The hottest of the sensors that tell a believable temperature."""
    names = re.findall(r"\bthermal_zone\d+\b", shell(["ls", _THERMAL]))
    files = read_files(shell, [f"{_THERMAL}/{name}/{what}" for name in names for what in ("type", "temp")])
    hottest, sensor = -math.inf, ""
    for name in names:
        with contextlib.suppress(KeyError, ValueError):
            degrees = float(files[f"{_THERMAL}/{name}/temp"])
            degrees = degrees / 1000 if abs(degrees) > _HOTTEST_C else degrees  # most tell thousandths, some degrees
            kind = files[f"{_THERMAL}/{name}/type"]
            if (
                _COLDEST_C < degrees < _HOTTEST_C
                and degrees > hottest
                and re.search("cpu|soc|tsens|big|little", kind, re.I)
            ):
                hottest, sensor = degrees, kind
    return {"temperature_c": f"{hottest:.1f}", "temperature_sensor": sensor} if sensor else {}
