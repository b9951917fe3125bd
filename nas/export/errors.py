"""The error of the model-file writers."""

from __future__ import annotations

from nas.errors import NasError


class ExportError(NasError):
    """Raised when a model file cannot be written or quantised; the message says what to do next."""
