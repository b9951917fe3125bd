"""Paths as users write them."""

from __future__ import annotations

import os
from pathlib import Path


def user_path(given: str | Path) -> Path:
    """A path with ``~`` as the home folder that it stands for; as it was given where nobody has that name.

    A shell replaces it only at the start of a word: in ``--run-dir=~/runs``, and in a file, it stays.
    """
    return Path(os.path.expanduser(given))  # noqa: PTH111 (Path.expanduser fails where nobody has that name)
