"""Errors of this layer. Every message says what was given, what is allowed and what to do next."""


class SupernetError(Exception):
    """Training data, settings, weights or a checkpoint that cannot be used."""


class DataError(SupernetError):
    """Images, labels or splits that are missing, damaged or not as described."""
