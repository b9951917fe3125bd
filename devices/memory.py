"""Peak memory of a model inside a process that has measured others before it."""

from __future__ import annotations

import ctypes
import gc
import re
from pathlib import Path
from typing import Protocol

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


class Peak(Protocol):
    """Watches memory from when it was made."""

    def grown_bytes(self) -> int | None:
        """Bytes of the peak since then, or none where nobody can tell."""
        ...


class PeakMemory:
    """Most resident memory above what the process held when this was made.

    Earlier models leave freed memory behind in the allocator and a high-water mark in the kernel. Both are cleared
    first, which Linux with the GNU C library can do; elsewhere nothing is claimed.
    """

    def __init__(self) -> None:
        self._baseline_bytes = _clear()

    def grown_bytes(self) -> int | None:
        """Bytes of the peak since then, or none where the system cannot tell."""
        if self._baseline_bytes is None:
            return None
        return max(0, _status_bytes("VmHWM") - self._baseline_bytes)


def _clear() -> int | None:
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
        _CLEAR.write_text("5", encoding="ascii")  # see proc(5): resets the high-water mark to the present size
        return _status_bytes("VmRSS")
    except (AttributeError, OSError, TypeError, ValueError):
        return None  # not Linux, not the GNU C library, or not allowed


def _status_bytes(name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB$", _STATUS.read_text(encoding="ascii", errors="replace"), re.MULTILINE)
    if not found:
        raise ValueError(f"{_STATUS} does not tell {name}")
    return int(found.group(1)) * 1024
