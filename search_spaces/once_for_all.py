"""Once-for-all's family of spaces: elastic resolution, width, depth, and each block's kernel and expansion."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from search_spaces.architecture import Architecture
from search_spaces.blocks import SqueezeExcite, expanded, inverted_residual
from search_spaces.builder import NetworkBuilder, make_divisible
from search_spaces.errors import SpaceError
from search_spaces.network import ActivationKind, Network
from search_spaces.settings import (
    SettingsSpace,
    check_ascending,
    check_classes,
    check_depths,
    check_kernels,
    settings_name,
)
from search_spaces.space import Condition, Decision

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True, slots=True)
class Stage:
    """Blocks of one output width; the first of them has the stride."""

    width: int
    stride: int
    activation: ActivationKind
    squeeze_excite: bool
    depths: tuple[int, ...]
    kernels: tuple[int, ...]
    expansions: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Settings:
    """All that defines a space; widths are channels before the width multiplier.

    A space's name digests the representation of its settings: renaming or adding a field renames stored spaces.

    Attributes:
        final_width: channels of the convolution after the last stage.
        feature_width: channels of a second layer after the mean over the image; ``None`` where there is none.
    """

    base_name: str
    classes: int
    resolutions: tuple[int, ...]
    width_multipliers: tuple[float, ...]
    stem_width: int
    stem_stride: int
    first_width: int
    stages: tuple[Stage, ...]
    final_width: int
    feature_width: int | None
    activation: ActivationKind


class OnceForAllSpace(SettingsSpace):
    """Stem, one fixed block, elastic stages of inverted residual blocks, head; a subclass adds the head."""

    first_activation: ClassVar[ActivationKind]

    def __init__(self, settings: Settings, default: Settings | None = None) -> None:
        self.settings = settings
        self._check()
        self._name = settings_name(settings.base_name, settings, default)

    @classmethod
    def varied(cls, default: Settings, *, classes: int, resolutions: Sequence[int], widths: Sequence[float]) -> Self:
        """The space of some settings with these classes, resolutions and width multipliers."""
        settings = replace(default, classes=classes, resolutions=tuple(resolutions), width_multipliers=tuple(widths))
        return cls(settings, default=default)

    @abstractmethod
    def head_widths(self, multiplier: float) -> tuple[int, ...]:
        """Channels of the layers between the last stage and the classifier under a width multiplier."""

    @abstractmethod
    def add_head(self, builder: NetworkBuilder, source: str, multiplier: float) -> None:
        """Add everything after the last stage."""

    @cached_property
    def decisions(self) -> tuple[Decision, ...]:
        """Resolution, width, then for every stage its depth and the kernel and expansion of each block."""
        decisions = [
            Decision("resolution", self.settings.resolutions),
            Decision("width", self.settings.width_multipliers),
        ]
        for s, stage in enumerate(self.settings.stages):
            depth = f"stages.{s}.depth"
            decisions.append(Decision(depth, stage.depths))
            for b in range(max(stage.depths)):
                deep_enough = frozenset(i for i, blocks in enumerate(stage.depths) if blocks > b)
                always = len(deep_enough) == len(stage.depths)
                condition = None if always else Condition(depth, deep_enough)
                decisions.append(Decision(f"stages.{s}.blocks.{b}.kernel", stage.kernels, condition))
                decisions.append(Decision(f"stages.{s}.blocks.{b}.expansion", stage.expansions, condition))
        return tuple(decisions)

    def lower(self, arch: Architecture) -> Network:
        """The network of one architecture: logits of shape ``(classes,)``."""
        self.validate(arch)
        taken = iter(zip(self.decisions, arch.choices, strict=True))

        def option() -> int | float:
            decision, choice = next(taken)
            value = decision.options[choice]
            assert not isinstance(value, str)  # noqa: S101 (this space has numbers only)
            return value

        settings = self.settings
        resolution, multiplier = int(option()), option()
        builder = NetworkBuilder((3, resolution, resolution))
        with builder.block("stem"):
            stem = make_divisible(settings.stem_width * multiplier)
            x = builder.conv("conv", builder.input, stem, 3, stride=settings.stem_stride)
            x = builder.activation("activation", x, settings.activation)
        with builder.block("first"):
            width = make_divisible(settings.first_width * multiplier)
            x = inverted_residual(builder, x, width, middle=stem, kernel=3, stride=1, activation=self.first_activation)
        for s, stage in enumerate(settings.stages):
            width, depth = make_divisible(stage.width * multiplier), int(option())
            choices = [(int(option()), option()) for _ in range(max(stage.depths))]
            for b, (kernel, expansion) in enumerate(choices[:depth]):
                with builder.block(f"stages.{s}.blocks.{b}"):
                    middle = expanded(builder.shape(x)[0], expansion)
                    x = inverted_residual(
                        builder,
                        x,
                        width,
                        middle=middle,
                        kernel=kernel,
                        stride=stage.stride if b == 0 else 1,
                        activation=stage.activation,
                        squeeze_excite=SqueezeExcite(make_divisible(middle // 4)) if stage.squeeze_excite else None,
                    )
        self.add_head(builder, x, multiplier)
        return builder.build()

    def _check(self) -> None:
        """Refuse settings that make no network, or that make the same network of two architectures."""
        settings = self.settings
        space = f"space {settings.base_name!r}"
        check_classes(space, settings.classes)
        check_ascending(space, "resolutions", settings.resolutions, whole=True)
        check_ascending(space, "widths", settings.width_multipliers)
        widths = [self._network_widths(multiplier) for multiplier in settings.width_multipliers]
        if len(set(widths)) < len(widths):
            given = list(settings.width_multipliers)
            raise SpaceError(f"{space}: widths {given} round to the same channels; give multipliers further apart")
        for s, stage in enumerate(settings.stages):
            check_depths(space, stage.depths)
            check_kernels(space, stage.kernels)
            check_ascending(space, "expansions", stage.expansions)
            # Blocks of stage ``s`` read the stage before (position ``s + 1`` after the stem) or one another.
            for channels in {row[position] for row in widths for position in (s + 1, s + 2)}:
                middles = [expanded(channels, expansion) for expansion in stage.expansions]
                if min(middles) <= channels or len(set(middles)) < len(middles):
                    rounded = f"expansions {list(stage.expansions)} of {channels} channels round to {middles}"
                    raise SpaceError(f"{space}: {rounded}; each must differ and be above {channels}")

    def _network_widths(self, multiplier: float) -> tuple[int, ...]:
        """Channels of stem, first block, stages and head under a width multiplier."""
        settings = self.settings
        base = (settings.stem_width, settings.first_width, *(stage.width for stage in settings.stages))
        return (*(make_divisible(channels * multiplier) for channels in base), *self.head_widths(multiplier))
