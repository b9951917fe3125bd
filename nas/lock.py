"""A lock that one process holds on a run directory; the operating system releases it when the process dies."""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nas.errors import BusyError, NasError

_POLL_S = 0.2
_HELD = (errno.EACCES, errno.EAGAIN, errno.EWOULDBLOCK)
"""What the system says where another process holds the lock."""

if sys.platform == "win32":
    import msvcrt

    def _take(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _take(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def exclusive(path: Path, *, patience_s: float = 0.0) -> Iterator[None]:
    """Hold the lock file ``path`` for the length of the block.

    Args:
        path: the file; made where it is missing.
        patience_s: how long another process that holds it is waited for.

    Raises:
        BusyError: another process holds it.
        NasError: the file system has no locks.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        deadline = time.monotonic() + patience_s
        while True:
            try:
                _take(descriptor)
                break
            except OSError as error:
                if error.errno not in _HELD:
                    raise NasError(
                        f"{path} cannot be locked ({error}), and without a lock two processes could spoil each other's "
                        "work; use a folder on a file system with locks"
                    ) from error
                if time.monotonic() >= deadline:
                    raise BusyError(
                        f"another process is working on {path.parent}; wait for it or stop it, or use another run "
                        "directory"
                    ) from error
                time.sleep(_POLL_S)
        yield
    finally:
        os.close(descriptor)
