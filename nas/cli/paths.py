"""Paths that are given to commands."""

from __future__ import annotations

from pathlib import Path


def at_home(given: Path | None) -> Path | None:
    """The path of an option with ``~`` as the home folder, which a shell leaves in ``--option=~/place``."""
    if given is None:
        return None
    from devices.paths import user_path  # noqa: PLC0415 (its package takes long to import)

    return user_path(given)
