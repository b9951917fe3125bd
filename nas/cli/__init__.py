"""The command line: ``nas``."""

from __future__ import annotations

import io
import sys


def main() -> None:
    """Entry point of the ``nas`` command."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that lacks a character, or a file name that is no text, must not stop what took hours.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        from nas.cli.app import app  # noqa: PLC0415 (importing the package must stay quick)
    except KeyboardInterrupt:  # Ctrl-C before a command has begun
        sys.stderr.write("stopped\n")
        sys.exit(130)
    app()


__all__ = ["main"]
