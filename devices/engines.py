"""Engines that GPU runtimes build for model files: kept for the next time, within bounds."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_MOST_BYTES = 4 * 2**30
_IN_USE_S = 600.0
"""Another process may be at an engine that was used so lately."""


def engines_folder(name: str) -> Path:
    """Where engines of a kind are kept: below ``$XDG_CACHE_HOME`` or ``~/.cache``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "hwnas" / name


def use_engine(engine: Path, most_bytes: int = _MOST_BYTES) -> None:
    """Note that an engine is used now, and let go of the longest unused ones where all take too much disk.

    Those that were used within ten minutes stay.

    Args:
        engine: a file, or a folder with its files; those beside it with the same suffix are the others.
        most_bytes: what all may take.
    """
    with suppress(OSError):  # not ours, or gone just now
        os.utime(engine)
    found = sorted(_engines(engine))
    excess = sum(size for _, size, _ in found) - most_bytes
    for used_s, size, path in found:
        if excess <= 0 or time.time() - used_s < _IN_USE_S:
            return
        with suppress(OSError):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        excess -= size


def _engines(engine: Path) -> Iterator[tuple[float, int, Path]]:
    """When each was used, its bytes, and where it is."""
    for path in engine.parent.glob(f"*{engine.suffix}"):
        with suppress(OSError):  # another process let go of it
            files = [file.stat().st_size for file in path.rglob("*")] if path.is_dir() else [path.stat().st_size]
            yield path.stat().st_mtime, sum(files), path
