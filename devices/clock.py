"""The clock that nobody sets counts from the start of the machine: which start that is."""

from __future__ import annotations

import secrets
from functools import cache
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@cache
def boot() -> str:
    """Names the present start of this machine; where the system does not tell, that of this process.

    Moments of ``time.monotonic`` can be compared if they are of one start.
    """
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return secrets.token_hex(16)
