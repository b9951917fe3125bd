"""What families of spaces share about their settings: checks that name the space, and names that tell them apart."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

from search_spaces.errors import SpaceError
from search_spaces.space import SearchSpace

MOST_BLOCKS = 64
"""More blocks than any stage of a published network of these families has: such a number was not meant."""


class SettingsSpace(SearchSpace):
    """A space that a value holding its settings defines; ``__init__`` sets ``_name`` with ``settings_name``."""

    _name: str

    @property
    def name(self) -> str:
        """Registered name, followed by a digest of the settings where they are not the default ones."""
        return self._name


def settings_name(base: str, settings: object, default: object) -> str:
    """The registered name, followed by a digest of the settings where they are not the default ones."""
    return base if settings == default else f"{base}-{hashlib.sha256(repr(settings).encode()).hexdigest()[:8]}"


def check_classes(space: str, classes: object) -> None:
    """Refuse a number of classes that no classifier can have.

    Raises:
        SpaceError: not a whole number of at least 2.
    """
    if not isinstance(classes, int) or classes < 2:
        raise SpaceError(f"{space}: classes is {classes!r}; give a whole number of at least 2")


def check_ascending(space: str, name: str, values: Sequence[float], *, whole: bool = False, multiple: int = 1) -> None:
    """Refuse options that are not ascending positive numbers.

    Args:
        space: what messages start with.
        name: what the values are called.
        values: options of a decision.
        whole: whether they must be integers.
        multiple: what they must be multiples of, if whole.

    Raises:
        SpaceError: they are not.
    """
    ascending = list(values) == sorted(set(values)) and len(values) > 0
    if (
        not ascending
        or not 0 < min(values) <= max(values) < math.inf
        or (whole and not all(isinstance(value, int) and value % multiple == 0 for value in values))
    ):
        kind = (
            ("positive whole numbers" if multiple == 1 else f"multiples of {multiple}") if whole else "positive numbers"
        )
        raise SpaceError(f"{space}: {name} is {list(values)}; give ascending {kind}")


def check_depths(space: str, depths: Sequence[int]) -> None:
    """Refuse anything but ascending numbers of blocks that a stage can have.

    Raises:
        SpaceError: what was given and what is allowed.
    """
    check_ascending(space, "depths", depths, whole=True)
    if depths[-1] > MOST_BLOCKS:
        raise SpaceError(f"{space}: depths is {list(depths)}; a stage has 1 to {MOST_BLOCKS} blocks")


def check_kernels(space: str, kernels: Sequence[int]) -> None:
    """Refuse anything but ascending odd kernel sizes.

    Raises:
        SpaceError: what was given and what is allowed.
    """
    check_ascending(space, "kernels", kernels, whole=True)
    if any(kernel % 2 == 0 for kernel in kernels):
        raise SpaceError(f"{space}: kernels are {list(kernels)}; give odd values, such as 3, 5, 7")
