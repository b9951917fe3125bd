from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from devices.memory import PeakMemory

MIB = 2**20


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell")
def test_peak_is_what_was_taken_since_then_even_if_freed() -> None:
    before = np.ones(64 * MIB, dtype=np.uint8)
    del before
    memory = PeakMemory()
    if memory.grown_bytes() is None:
        pytest.skip("this system does not let a process clear its high-water mark")
    block = np.ones(32 * MIB, dtype=np.uint8)
    del block
    grown = memory.grown_bytes()
    assert grown is not None
    assert 31 * MIB < grown < 48 * MIB


def test_nothing_is_claimed_where_the_system_does_not_tell() -> None:
    script = """
from pathlib import Path
from devices import memory
memory._CLEAR = Path("/nowhere/clear_refs")
assert memory.PeakMemory().grown_bytes() is None
"""
    subprocess.run([sys.executable, "-c", script], check=True)
