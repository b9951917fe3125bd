"""An architecture: which option was taken at every decision of a search space. It holds no weights."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Architecture:
    """One point of a search space.

    Attributes:
        space: ``SearchSpace.name`` of the space that the choices belong to.
        choices: option index of every decision, in the order of ``SearchSpace.decisions``.
    """

    space: str
    choices: tuple[int, ...]

    @property
    def key(self) -> str:
        """Digest of space and choices: 20 hexadecimal digits, the same in every process and on every machine."""
        text = f"{self.space}|{','.join(map(str, self.choices))}"
        return hashlib.sha256(text.encode()).hexdigest()[:20]
