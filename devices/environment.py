"""What there is around a measurement: processor, system, versions, load."""

from __future__ import annotations

import contextlib
import os
import platform
from collections.abc import Iterator
from datetime import datetime, timezone
from functools import cache
from pathlib import Path

import numpy as np

_CPUINFO = Path("/proc/cpuinfo")
_FEATURES = (
    *("sse4_2", "avx", "avx2", "fma", "f16c", "avx_vnni", "avx512f", "avx512bw", "avx512_vnni", "avx512_bf16"),
    *("avx512_fp16", "amx_tile", "amx_int8", "amx_bf16"),
    *("asimd", "neon", "asimdhp", "asimddp", "i8mm", "bf16", "sve", "sve2", "sme"),
)
"""On x86, then on ARM: what multiplies vectors and matrices of floats and of bytes."""
_GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")


@cache
def cpu_model() -> str:
    """The processor's model name, as far as the system tells it."""
    try:
        text = _CPUINFO.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor() or platform.machine() or "unknown"
    return cpu_model_in(text) or platform.processor() or platform.machine() or "unknown"


def cpu_model_in(cpuinfo: str) -> str | None:
    """The model name in the text of ``/proc/cpuinfo``: by name on x86 and some boards, by part numbers on other ARM."""
    fields: dict[str, str] = {}
    for line in cpuinfo.splitlines():
        name, colon, value = line.partition(":")
        if colon and value.strip():
            fields.setdefault(name.strip(), value.strip())
    for name in ("model name", "Model", "Hardware", "cpu model"):
        if name in fields:
            return fields[name]
    parts = [fields[name] for name in ("CPU implementer", "CPU part", "CPU variant") if name in fields]
    return f"ARM {' '.join(parts)}" if parts else None


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
