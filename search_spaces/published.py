"""Networks that papers published, as architectures of this package's spaces, beside the sizes that were printed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from search_spaces.architecture import Architecture
from search_spaces.errors import SpaceError
from search_spaces.space import SearchSpace

PublishedFactory = Callable[[], tuple[SearchSpace, Architecture]]
_PUBLISHED: dict[str, tuple[PublishedFactory, Publication]] = {}


@dataclass(frozen=True, slots=True)
class PrintedCount:
    """A count as a table prints it, such as 300 with the unit 1e6: equal to whatever rounds to it.

    Attributes:
        value: the number printed.
        unit: what it counts in, such as 1e6.
        decimals: digits printed after the point.
        cut: the digits after them were dropped, not rounded, as the MobileNet tables do.
    """

    value: float
    unit: float
    decimals: int = 0
    cut: bool = False

    def holds(self, count: int) -> bool:
        """Whether an exact count is printed like this."""
        exact = count / self.unit
        printed = math.floor(exact * 10**self.decimals) / 10**self.decimals if self.cut else round(exact, self.decimals)
        return math.isclose(printed, self.value, rel_tol=1e-12)


@dataclass(frozen=True, slots=True)
class Difference:
    """What one part of a network adds to the printed count and not to ours (negative: the other way round)."""

    part: str
    reason: str
    macs: int = 0
    parameters: int = 0


@dataclass(frozen=True, slots=True)
class Publication:
    """Where a network was published, with which sizes, and what explains a difference from the counted ones."""

    source: str
    macs: PrintedCount | None
    parameters: PrintedCount | None
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True)
class PublishedNetwork:
    """A named architecture of a space."""

    name: str
    space: SearchSpace
    architecture: Architecture
    publication: Publication = field(repr=False)


def register_published(name: str, publication: Publication) -> Callable[[PublishedFactory], PublishedFactory]:
    """Decorator: the factory under it makes the space and the architecture of the published network of this name."""

    def add(factory: PublishedFactory) -> PublishedFactory:
        if name in _PUBLISHED:
            raise SpaceError(f"a published network named {name!r} is registered already; choose another name")
        _PUBLISHED[name] = (factory, publication)
        return factory

    return add


def published_names() -> list[str]:
    """Names that ``get_published`` knows."""
    return sorted(_PUBLISHED)


def get_published(name: str) -> PublishedNetwork:
    """A network that a paper published.

    Raises:
        SpaceError: an unknown name.
    """
    if name not in _PUBLISHED:
        raise SpaceError(f"there is no published network {name!r}; there are {published_names()}")
    factory, publication = _PUBLISHED[name]
    space, architecture = factory()
    return PublishedNetwork(name, space, architecture, publication)
