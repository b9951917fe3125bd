"""Spaces whose layers each take one of a few candidate blocks, in a macro-architecture that is fixed."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from search_spaces.architecture import Architecture
from search_spaces.blocks import inverted_residual, pooled_classifier
from search_spaces.builder import NetworkBuilder
from search_spaces.errors import SpaceError
from search_spaces.network import ActivationKind, Network
from search_spaces.settings import SettingsSpace, check_classes, settings_name
from search_spaces.space import Decision


@dataclass(frozen=True, slots=True)
class LayerStage:
    """Layers of one output width; the first of them has the stride."""

    width: int
    layers: int
    stride: int


@dataclass(frozen=True, slots=True)
class MacroArchitecture:
    """All that is fixed in a layer-wise space.

    Attributes:
        first_width: channels of a block without expansion after the stem; ``None`` where there is none.
    """

    base_name: str
    classes: int
    resolution: int
    stem_width: int
    stem_stride: int
    first_width: int | None
    stages: tuple[LayerStage, ...]
    final_width: int
    activation: ActivationKind


@dataclass(frozen=True, slots=True)
class Layer:
    """One place where a candidate is chosen."""

    name: str
    in_channels: int
    out_channels: int
    stride: int

    @property
    def keeps_shape(self) -> bool:
        """Whether the output has the input's shape, so that the layer can be skipped."""
        return self.stride == 1 and self.in_channels == self.out_channels


class LayerwiseSpace(SettingsSpace):
    """Stem, layers with one decision each (``NAME.op``), head; a subclass says which candidates there are."""

    def __init__(self, macro: MacroArchitecture, default: MacroArchitecture | None = None) -> None:
        check_classes(f"space {macro.base_name!r}", macro.classes)
        widths = (macro.stem_width, macro.final_width, *(stage.width for stage in macro.stages))
        if any(not isinstance(width, int) or width < 1 for width in widths):
            raise SpaceError(f"space {macro.base_name!r}: widths are {list(widths)}; give positive whole numbers")
        self.macro = macro
        self._name = settings_name(macro.base_name, macro, default)

    @abstractmethod
    def candidates(self, layer: Layer) -> tuple[str, ...]:
        """Names of a layer's candidates, from the one with the fewest parameters to the one with the most."""

    @abstractmethod
    def add_candidate(self, builder: NetworkBuilder, layer: Layer, candidate: str, source: str) -> str:
        """Add a candidate block; returns its output."""

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """Every place where a candidate is chosen, in order."""
        macro = self.macro

        def layers() -> Iterator[Layer]:
            channels = macro.stem_width if macro.first_width is None else macro.first_width
            for s, stage in enumerate(macro.stages):
                for b in range(stage.layers):
                    yield Layer(f"stages.{s}.blocks.{b}", channels, stage.width, stage.stride if b == 0 else 1)
                    channels = stage.width

        return tuple(layers())

    @cached_property
    def decisions(self) -> tuple[Decision, ...]:
        """The candidate of every layer."""
        return tuple(Decision(f"{layer.name}.op", self.candidates(layer)) for layer in self.layers)

    def lower(self, arch: Architecture) -> Network:
        """The network of one architecture: logits of shape ``(classes,)``."""
        self.validate(arch)
        macro = self.macro
        builder = NetworkBuilder((3, macro.resolution, macro.resolution))
        with builder.block("stem"):
            x = builder.conv("conv", builder.input, macro.stem_width, 3, stride=macro.stem_stride)
            x = builder.activation("activation", x, macro.activation)
        if macro.first_width is not None:
            with builder.block("first"):
                x = inverted_residual(
                    builder,
                    x,
                    macro.first_width,
                    middle=macro.stem_width,
                    kernel=3,
                    stride=1,
                    activation=macro.activation,
                    shortcut="none",
                )
        for layer, decision, choice in zip(self.layers, self.decisions, arch.choices, strict=True):
            x = self.add_candidate(builder, layer, str(decision.options[choice]), x)
        pooled_classifier(builder, x, macro.final_width, macro.classes, macro.activation)
        return builder.build()

    def with_candidates(self, candidates: tuple[str, ...]) -> Architecture:
        """The architecture with these candidates, layer by layer.

        Raises:
            SpaceError: their number is not that of the layers, or a layer does not have its candidate.
        """
        if len(candidates) != len(self.layers):
            raise SpaceError(f"{self.name!r} has {len(self.layers)} layers; {len(candidates)} candidates were given")
        names = (decision.name for decision in self.decisions)
        return self.from_options(dict(zip(names, candidates, strict=True)))
