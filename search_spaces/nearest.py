"""What was probably meant where a name is unknown."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(given: str, allowed: Iterable[str]) -> str:
    """The end of a sentence about an unknown name: the nearest allowed one, and all of them."""
    names = sorted(allowed)
    close = difflib.get_close_matches(given, names, 1, cutoff=0.5)
    meant = f"did you mean {close[0]!r}? Allowed" if close else "allowed"
    return f"; {meant}: {', '.join(names) or 'none'}"
