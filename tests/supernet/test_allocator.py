from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from supernet.allocator import memory_kept

PROGRAM = """
from pathlib import Path
import torch
from supernet.allocator import memory_kept, release_memory

def resident_mb():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6

release_memory()
before = resident_mb()
with memory_kept():
    tensor = torch.ones(50_000_000)
    del tensor
    kept = resident_mb() - before
print(kept, resident_mb() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told to keep freed memory")
def test_freed_memory_stays_while_it_is_kept_and_goes_back_after() -> None:
    """In a process of its own: where an allocation has ever failed, glibc serves large ones in another way."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    kept, after = map(float, done.stdout.split())
    assert kept > 150
    assert after < 50


def test_an_error_passes_through() -> None:
    with pytest.raises(ValueError, match="as it was"), memory_kept():
        raise ValueError("as it was")
