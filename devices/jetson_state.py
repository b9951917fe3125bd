"""How a Jetson is doing: power mode, GPU clock, temperature; what is not told is left out."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from pathlib import Path

from devices.errors import DeviceError
from devices.program import run_program

_ASK_TIMEOUT_S = 10.0
_GPU = re.compile(r"\.(gpu|gm20b|gp10b|gv11b|ga10b|gb10b)$")
"""Names of Jetson's GPUs among what the kernel scales the frequency of, from Nano to Thor."""


def read_power_mode() -> str:
    """The power mode by ``nvpmodel -q``, such as ``MAXN`` or ``15W``; empty where there is no such program."""
    with contextlib.suppress(DeviceError):
        done = run_program(["nvpmodel", "-q"], _ASK_TIMEOUT_S)
        mode = re.search(r"NV Power Mode: (.+)$", done.stdout, re.MULTILINE)
        if mode:
            return mode.group(1).strip()
    return ""


def read_board(root: Path = Path("/")) -> dict[str, str]:
    """GPU clocks, their governor and the GPU's temperature, as pairs of texts.

    Args:
        root: where the system's files are.
    """
    found: dict[str, str] = {}
    for place in sorted((root / "sys" / "class" / "devfreq").glob("*")):
        if _GPU.search(place.name):
            files = {"gpu_clock_hz": "cur_freq", "most_gpu_clock_hz": "max_freq", "gpu_governor": "governor"}
            found |= {name: text for name, file in files.items() if (text := _text(place / file))}
            break
    for zone in sorted((root / "sys" / "class" / "thermal").glob("thermal_zone*")):
        if "gpu" in _text(zone / "type").lower():
            with contextlib.suppress(ValueError):
                found["gpu_temperature_c"] = f"{int(_text(zone / 'temp')) / 1000:.1f}"
    return found


def moved(before: Mapping[str, str], after: Mapping[str, str]) -> str | None:
    """Why the measurement between two states deserves doubt, or none."""
    for name in ("power_mode", "most_gpu_clock_hz", "gpu_governor"):
        if before.get(name) != after.get(name):
            return f"{name} went from {before.get(name)} to {after.get(name)} meanwhile"
    return None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
