"""Spaces made of stages: a stem, stages of elastic blocks, a head.

Elastic can be the input resolution, a width multiplier of the whole network, the stem's width, and in every stage the
depth, the width (of the stage or of each block), and each block's kind, kernel and expansion. A dimension with one
option is no decision.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Protocol, TypeVar

from search_spaces.architecture import Architecture
from search_spaces.block_kinds import BLOCK_KINDS, Block
from search_spaces.builder import NetworkBuilder
from search_spaces.network import Network
from search_spaces.settings import SettingsSpace, settings_name
from search_spaces.space import Condition, Decision, Option
from search_spaces.staged_settings import Settings, Stage, check, scaled

T = TypeVar("T", int, float, str)


class _Pick(Protocol):
    """Gives the option taken of a dimension."""

    def __call__(self, name: str, options: Sequence[T]) -> T: ...


class StagedSpace(SettingsSpace):
    """A stem, stages of elastic blocks, a head.

    Args:
        settings: what the space holds; checked.
        default: the settings for which the space is called by its registered name alone.

    Raises:
        SpaceError: settings that make no network, or the same network of two architectures.
    """

    def __init__(self, settings: Settings, default: Settings | None = None) -> None:
        check(settings)
        self.settings = settings
        self._name = settings_name(settings.base_name, settings, default)

    @cached_property
    def decisions(self) -> tuple[Decision, ...]:
        """Resolution, width, stem, then every stage's depth and width and each block's own choices."""
        made: list[Decision] = []

        def offer(name: str, options: Sequence[Option], condition: Condition | None = None) -> None:
            if len(options) > 1:
                made.append(Decision(name, tuple(options), condition))

        settings = self.settings
        offer("resolution", settings.resolutions)
        offer("width", settings.width_multipliers)
        offer("stem.width", settings.stem.widths)
        for s, stage in enumerate(settings.stages):
            offer(f"stages.{s}.depth", stage.depths)
            if not stage.own_widths:
                offer(f"stages.{s}.width", stage.widths)
            for b in range(max(stage.depths)):
                block, exists = f"stages.{s}.blocks.{b}", _exists(s, stage, b)
                if stage.own_widths:
                    offer(f"{block}.width", stage.widths, exists)
                offer(f"{block}.kind", stage.kinds, exists)
                offer(f"{block}.kernel", stage.kernels, exists)
                if stage.expanding:
                    always = len(stage.expanding) == len(stage.kinds)
                    condition = exists if always else Condition(f"{block}.kind", stage.expanding)
                    offer(f"{block}.expansion", stage.expansions, condition)
        return tuple(made)

    def lower(self, arch: Architecture) -> Network:
        """The network of one architecture: logits of shape ``(classes,)``."""
        self.validate(arch)
        taken = {d.name: choice for d, choice in zip(self.decisions, arch.choices, strict=True)}

        def pick(name: str, options: Sequence[T]) -> T:
            return options[taken[name]] if len(options) > 1 else options[0]

        settings = self.settings
        resolution = pick("resolution", settings.resolutions)
        multiplier = pick("width", settings.width_multipliers)
        builder = NetworkBuilder((3, resolution, resolution))
        with builder.block("stem"):
            width = scaled(pick("stem.width", settings.stem.widths), multiplier)
            x = builder.conv("conv", builder.input, width, 3, stride=settings.stem.stride)
            x = builder.activation("activation", x, settings.stem.activation)
        for s, stage in enumerate(settings.stages):
            for b in range(pick(f"stages.{s}.depth", stage.depths)):
                kind, block = _block(stage, s, b, multiplier, pick)
                # Weights are found by the names of nodes, and kinds share none.
                kind_name = "" if len(stage.kinds) == 1 else f".{kind}"
                with builder.block(f"stages.{s}.blocks.{b}{kind_name}"):
                    x = BLOCK_KINDS[kind].write(builder, x, block)
        _write_head(builder, x, settings, multiplier)
        return builder.build()

    def covering(self) -> Iterable[Architecture]:
        """For every kind of block, the largest network of it with each single decision moved.

        Kinds have weights of their own, so the largest network of one kind holds nothing of another's.
        """
        last = [int(count) - 1 for count in self.option_counts]
        kinds = [i for i, decision in enumerate(self.decisions) if decision.name.endswith(".kind")]
        for option in range(max((last[i] for i in kinds), default=0) + 1):
            choices = [min(option, top) if i in kinds else top for i, top in enumerate(last)]
            yield from self.moves_from(choices)


def _exists(s: int, stage: Stage, b: int) -> Condition | None:
    deep_enough = frozenset(i for i, depth in enumerate(stage.depths) if depth > b)
    return None if len(deep_enough) == len(stage.depths) else Condition(f"stages.{s}.depth", deep_enough)


def _block(stage: Stage, s: int, b: int, multiplier: float, pick: _Pick) -> tuple[str, Block]:
    """Kind and settings of one block."""
    name = f"stages.{s}.blocks.{b}"
    kind = pick(f"{name}.kind", stage.kinds)
    width = pick(f"{name}.width" if stage.own_widths else f"stages.{s}.width", stage.widths)
    expands = BLOCK_KINDS[kind].inner is not None
    return kind, Block(
        width=scaled(width, multiplier),
        kernel=pick(f"{name}.kernel", stage.kernels),
        expansion=pick(f"{name}.expansion", stage.expansions) if expands else 1,
        stride=stage.stride if b == 0 else 1,
        activation=stage.activation,
        squeeze_excite=stage.squeeze_excite,
        projection=stage.projection,
    )


def _write_head(builder: NetworkBuilder, source: str, settings: Settings, multiplier: float) -> None:
    head, x = settings.head, source
    with builder.block("head"):
        if head.expand is not None:
            x = builder.conv("expand", x, scaled(head.expand, multiplier))
            x = builder.activation("expand_activation", x, head.activation)
        x = builder.global_pool("pool", x)
        if head.features is not None:
            x = builder.conv("features", x, scaled(head.features, multiplier))
            x = builder.activation("features_activation", x, head.activation)
        builder.linear("classifier", builder.flatten("flatten", x), settings.classes)
