"""Errors of this layer. Every message says what was given, what is allowed and what to do next."""


class SpaceError(ValueError):
    """A space, an architecture or a network that is not well formed."""
