"""Keeps off the screen what a runtime's native code says that is no news to anybody."""

from __future__ import annotations

import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_GREETING = re.compile(rb"INFO: Created TensorFlow Lite XNNPACK delegate for CPU\.\r?\n")
_STDERR = 2
_lock = threading.Lock()


@contextmanager
def without_greeting() -> Iterator[None]:
    """Leave LiteRT's greeting out of what native code writes to standard error; all else comes out at the end.

    LiteRT has no setting for it. The greeting comes with the first model that a process loads, so this belongs around
    loading alone: what a crash says inside is lost.
    """
    with _lock, tempfile.TemporaryFile() as held:
        sys.stderr.flush()
        shown = os.dup(_STDERR)
        os.dup2(held.fileno(), _STDERR)
        try:
            yield
        finally:
            os.dup2(shown, _STDERR)
            os.close(shown)
            held.seek(0)
            with open(_STDERR, "wb", closefd=False) as stream:
                stream.write(_GREETING.sub(b"", held.read()))
