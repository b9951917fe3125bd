"""The base error of the application layer."""

from __future__ import annotations


class NasError(Exception):
    """Raised when a run cannot go on; the message says what was given and what to do next."""


class UnreachableError(NasError):
    """Raised where no network keeps the limits; the message says how near the nearest comes."""


class BusyError(NasError):
    """Raised where another process is at work; the message says in which folder."""
