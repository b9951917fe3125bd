"""What there is around a measurement: processor, system, versions, load."""

from __future__ import annotations

import contextlib
import os
import platform
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timezone
from functools import cache
from pathlib import Path

import numpy as np

_CPUINFO = Path("/proc/cpuinfo")
_BOARD = Path("/proc/device-tree/model")
_FEATURES = (
    *("sse4_2", "avx", "avx2", "fma", "f16c", "avx_vnni", "avx512f", "avx512bw", "avx512_vnni", "avx512_bf16"),
    *("avx512_fp16", "amx_tile", "amx_int8", "amx_bf16"),
    *("asimd", "neon", "asimdhp", "asimddp", "i8mm", "bf16", "sve", "sve2", "sme"),
)
"""On x86, then on ARM: what multiplies vectors and matrices of floats and of bytes."""
_ANY_BOARD = "linux,"
"""How the name of what is no board begins: ``linux,dummy-virt`` is every virtual machine."""
_GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")


def board_model() -> str:
    """The board's name as its firmware tells it, such as ``NVIDIA Jetson Orin Nano``; empty on other machines."""
    try:
        return _BOARD.read_text(encoding="utf-8", errors="replace").strip().rstrip("\0")
    except OSError:
        return ""


@cache
def cpu_model() -> str:
    """The processor's model name, or that of the board it is on, as far as the system tells it."""
    try:
        text = _CPUINFO.read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    return cpu_model_in(text, board_model()) or platform.processor() or platform.machine() or "unknown"


def cpu_model_in(cpuinfo: str, board: str = "") -> str | None:
    """The model name in the text of ``/proc/cpuinfo``: by name on x86, by board or by kinds of cores on ARM.

    Args:
        cpuinfo: the text.
        board: name by the firmware, where it tells one.
    """
    fields: dict[str, str] = {}
    kinds: Counter[str] = Counter()
    for block in cpuinfo.split("\n\n"):
        found = dict(_fields(block))
        fields = found | fields
        kind = " ".join(found[name] for name in ("CPU implementer", "CPU part", "CPU variant") if name in found)
        kinds.update([kind] if kind else [])
    board = fields.get("Model", "" if board.startswith(_ANY_BOARD) else board)
    if kinds and not board:  # what ARM calls "model name" is that of the architecture
        cores = " + ".join(f"{count}x {kind}" for kind, count in sorted(kinds.items()))
        return " ".join([*([fields["Hardware"]] if "Hardware" in fields else []), "ARM", cores])
    names = [board, *(fields.get(name, "") for name in ("model name", "Hardware", "cpu model"))]
    return next(filter(None, names), None)


def _fields(block: str) -> Iterator[tuple[str, str]]:
    """What there is to know of one core."""
    for line in block.splitlines():
        name, colon, value = line.partition(":")
        if colon and value.strip():
            yield name.strip(), value.strip()


@cache
def cpu_features() -> str:
    """Instruction sets of the processor that decide how fast networks run on it, as far as the system tells them."""
    try:
        return cpu_features_in(_CPUINFO.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return ""


def cpu_features_in(cpuinfo: str) -> str:
    """The same in the text of ``/proc/cpuinfo``, with a blank between each."""
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return " ".join(feature for feature in _FEATURES if feature in value.split())
    return ""


def describe_environment() -> tuple[tuple[str, str], ...]:
    """Everything known about the present moment, as pairs of texts; what the system does not tell is left out."""
    return tuple(_facts())


def _facts() -> Iterator[tuple[str, str]]:
    yield "time", datetime.now(timezone.utc).isoformat(timespec="seconds")
    yield "cpu", cpu_model()
    if cpu_features():
        yield "cpu_features", cpu_features()
    with contextlib.suppress(AttributeError, OSError, ValueError):  # other systems do not tell it so
        yield "memory_bytes", str(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    yield "cores", str(os.cpu_count() or 1)
    if hasattr(os, "sched_getaffinity"):
        yield "affinity", ",".join(str(core) for core in sorted(os.sched_getaffinity(0)))
    if hasattr(os, "getloadavg"):
        yield "load_average_before", f"{os.getloadavg()[0]:.2f}"
    with contextlib.suppress(OSError, ValueError):  # virtual machines and other systems have none
        yield "governor", _GOVERNOR.read_text(encoding="ascii").strip()
    yield "platform", platform.platform()
    yield "python", platform.python_version()
    yield "numpy", np.__version__
