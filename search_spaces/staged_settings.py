"""What defines a staged space, and the checks that it makes networks, and a different one of every architecture."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import get_args

from search_spaces.block_kinds import BLOCK_KINDS
from search_spaces.builder import make_divisible
from search_spaces.errors import SpaceError
from search_spaces.nearest import nearest
from search_spaces.network import ActivationKind
from search_spaces.settings import check_ascending, check_classes, check_depths


@dataclass(frozen=True, slots=True)
class Stage:
    """Blocks in a row; the first of them has the stride. Options are ordered from small to large.

    Attributes:
        kinds: names in ``BLOCK_KINDS`` that each block chooses from.
        widths: output channels before the width multiplier.
        depths: numbers of blocks.
        kernels: sides of the blocks' windows.
        expansions: inner widths; empty where no kind has one.
        stride: of the first block.
        activation: non-linearity inside the blocks.
        squeeze_excite: whether kinds that can have it gate their inner channels.
        projection: whether a block's input is added even where shapes differ, through a 1×1 convolution.
        own_widths: whether each block chooses its width, or the stage chooses one for all its blocks.
    """

    kinds: tuple[str, ...]
    widths: tuple[int, ...]
    depths: tuple[int, ...] = (1,)
    kernels: tuple[int, ...] = (3,)
    expansions: tuple[float, ...] = ()
    stride: int = 1
    activation: ActivationKind = "relu"
    squeeze_excite: bool = False
    projection: bool = False
    own_widths: bool = False

    @property
    def expanding(self) -> frozenset[int]:
        """Positions in ``kinds`` of those that have an expansion."""
        return frozenset(i for i, kind in enumerate(self.kinds) if BLOCK_KINDS[kind].inner is not None)


@dataclass(frozen=True, slots=True)
class Stem:
    """The first convolution, 3×3."""

    widths: tuple[int, ...]
    stride: int
    activation: ActivationKind


@dataclass(frozen=True, slots=True)
class Head:
    """What follows the stages: a 1×1 convolution, pooling, another 1×1 convolution, a classifier.

    Attributes:
        expand: channels of the convolution before the pooling; None leaves it out.
        features: channels of the one after it; None leaves it out.
        activation: after each of the two.
    """

    expand: int | None = None
    features: int | None = None
    activation: ActivationKind = "relu"


@dataclass(frozen=True, slots=True)
class Settings:
    """All that defines a staged space."""

    base_name: str
    classes: int
    resolutions: tuple[int, ...]
    width_multipliers: tuple[float, ...]
    stem: Stem
    stages: tuple[Stage, ...]
    head: Head


def scaled(width: int, multiplier: float) -> int:
    """Channels under a width multiplier: a multiple of 8, or the width itself where nothing is multiplied."""
    return width if multiplier == 1 else make_divisible(width * multiplier)


def check(settings: Settings) -> None:
    """Check settings of a staged space.

    Raises:
        SpaceError: they make no network, or the same network of two architectures; the message says where and why.
    """
    space = f"space {settings.base_name!r}"
    check_classes(space, settings.classes)
    check_ascending(space, "resolutions", settings.resolutions, whole=True)
    check_ascending(space, "width_multipliers", settings.width_multipliers)
    check_ascending(space, "stem.widths", settings.stem.widths, whole=True)
    check_ascending(space, "stem.stride", (settings.stem.stride,), whole=True)
    one_of(f"{space}: stem.activation", settings.stem.activation, get_args(ActivationKind))
    one_of(f"{space}: head.activation", settings.head.activation, get_args(ActivationKind))
    for name, width in (("expand", settings.head.expand), ("features", settings.head.features)):
        if width is not None:
            check_ascending(space, f"head.{name}", (width,), whole=True)
    if not settings.stages:
        raise SpaceError(f"{space}: there are no stages; give at least one")
    for s, stage in enumerate(settings.stages):
        _check_stage(f"{space}: stages.{s}", stage)
    _check_widths(space, settings)
    for s, stage in enumerate(settings.stages):
        _check_expansions(f"{space}: stages.{s}", stage, settings, s)


def one_of(place: str, given: object, allowed: Iterable[str]) -> None:
    """Check that a name is one of those allowed.

    Raises:
        SpaceError: it is not; the message suggests the nearest.
    """
    names = list(allowed)
    if given not in names:
        raise SpaceError(f"{place} is {given!r}{nearest(str(given), names)}")


def _check_stage(place: str, stage: Stage) -> None:
    if not stage.kinds or len(set(stage.kinds)) < len(stage.kinds):
        raise SpaceError(f"{place}: kinds is {list(stage.kinds)}; give each kind once, of {list(BLOCK_KINDS)}")
    for kind in stage.kinds:
        one_of(f"{place}.kinds", kind, BLOCK_KINDS)
    one_of(f"{place}.activation", stage.activation, get_args(ActivationKind))
    check_ascending(place, "widths", stage.widths, whole=True)
    check_depths(place, stage.depths)
    check_ascending(place, "kernels", stage.kernels, whole=True)
    check_ascending(place, "stride", (stage.stride,), whole=True)
    if any(kernel % 2 == 0 for kernel in stage.kernels) or min(stage.kernels) < 3:
        raise SpaceError(f"{place}: kernels is {list(stage.kernels)}; give odd values from 3, such as 3, 5, 7")
    kinds = [BLOCK_KINDS[kind] for kind in stage.kinds]
    if stage.expanding:
        check_ascending(place, "expansions", stage.expansions)
    elif stage.expansions:
        raise SpaceError(f"{place}: no block of the kinds {list(stage.kinds)} has an expansion; leave expansions out")
    if stage.squeeze_excite and not any(kind.gates for kind in kinds):
        raise SpaceError(f"{place}: the kinds {list(stage.kinds)} have no squeeze_excite; leave it out")
    if stage.projection and not any(kind.adds for kind in kinds):
        raise SpaceError(f"{place}: the kinds {list(stage.kinds)} have no shortcut to project; leave projection out")


def _check_widths(space: str, settings: Settings) -> None:
    """Refuse widths that are different options and the same channels."""
    multipliers = settings.width_multipliers
    for place, widths in (("stem", settings.stem.widths), *_stage_widths(settings)):
        for multiplier in multipliers:
            rounded = [scaled(width, multiplier) for width in widths]
            if len(set(rounded)) < len(rounded):
                given = f"widths {list(widths)} times {multiplier} round to {rounded}"
                raise SpaceError(f"{space}: {place}: {given} channels; give widths further apart")
    fixed = [
        widths[0] for widths in (settings.stem.widths, *(w for _, w in _stage_widths(settings))) if len(widths) == 1
    ]
    fixed += [width for width in (settings.head.expand, settings.head.features) if width is not None]
    if len({tuple(scaled(width, multiplier) for width in fixed) for multiplier in multipliers}) < len(multipliers):
        told = f"width_multipliers {list(multipliers)} round to the same channels in all that has a single width"
        raise SpaceError(f"{space}: {told}; give multipliers further apart")


def _stage_widths(settings: Settings) -> Iterator[tuple[str, tuple[int, ...]]]:
    for s, stage in enumerate(settings.stages):
        yield f"stages.{s}", stage.widths


def _check_expansions(place: str, stage: Stage, settings: Settings, s: int) -> None:
    """Refuse expansions that are different options and the same inner channels."""
    before = settings.stages[s - 1].widths if s else settings.stem.widths
    for kind in (stage.kinds[i] for i in stage.expanding):
        inner = BLOCK_KINDS[kind].inner
        for multiplier in settings.width_multipliers:
            for source in {scaled(width, multiplier) for width in (*before, *stage.widths)}:
                for width in stage.widths:
                    middles = [inner(source, scaled(width, multiplier), e) for e in stage.expansions] if inner else []
                    if len(set(middles)) < len(middles):
                        given = f"expansions {list(stage.expansions)} of {source} channels round to {middles}"
                        raise SpaceError(f"{place}: {kind}: {given}; give expansions further apart")
