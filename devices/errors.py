"""Errors of this layer. Every message says what was given, what is allowed and what to do next."""

from __future__ import annotations


class DeviceError(Exception):
    """A device, an artifact or settings that cannot be used, or a runtime that cannot be reached."""
