"""MnasNet's factorised hierarchical space (Tan et al. 2019, section 4.1).

The network is MobileNetV2's skeleton in blocks; within a block all layers are alike, and blocks differ in operator,
kernel, squeeze-and-excite, skip, number of channels and number of layers. The paper counts 432 sub-networks a block:
4 · 2 · 2 · 3 · 3 · 3. The four operators are therefore a convolution, a depthwise separable one, and MobileNetV2's
block with an expansion of 3 or of 6. MobileNetV2's first block (16 channels, no expansion) is kept, as in the published
networks. Channels are 0.75, 1 or 1.25 times MobileNetV2's, to the nearest multiple of 8; the published networks also
have 112 and 192 channels, which are none of these and were added.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from search_spaces.architecture import Architecture
from search_spaces.blocks import Shortcut, SqueezeExcite, add_shortcut, expanded, inverted_residual, pooled_classifier
from search_spaces.builder import NetworkBuilder
from search_spaces.network import Network
from search_spaces.published import Difference, PrintedCount, Publication, register_published
from search_spaces.registry import register_space
from search_spaces.settings import SettingsSpace, check_classes, settings_name
from search_spaces.space import Condition, Decision, Option

# From the fewest parameters to the most, other options being at their largest.
OPERATORS = ("separable", "mbconv3", "mbconv6", "conv")
KERNELS = (3, 5)
SE_RATIOS = (0.0, 0.25)
SHORTCUTS: tuple[Shortcut, ...] = ("none", "pool", "identity")


@dataclass(frozen=True, slots=True)
class Block:
    """Layers that are alike; the first of them has the stride."""

    widths: tuple[int, ...]
    depths: tuple[int, ...]
    stride: int


@dataclass(frozen=True, slots=True)
class Settings:
    """All that defines a MnasNet space."""

    base_name: str
    classes: int
    resolution: int
    stem_stride: int
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class _Choice:
    operator: str
    kernel: int
    se_ratio: float
    width: int
    depth: int
    shortcut: Shortcut


class MnasNetSpace(SettingsSpace):
    """Decisions ``stages.S.op``, ``kernel``, ``se_ratio``, ``width``, ``depth`` and ``skip``.

    A skip joins input and output of the layers after a block's first, which can change the shape. The paper names
    pooling, identity and none; pooling is taken to be the mean over 3x3 windows, which keeps the shape too.
    """

    def __init__(self, settings: Settings, default: Settings | None = None) -> None:
        check_classes(f"space {settings.base_name!r}", settings.classes)
        self.settings = settings
        self._name = settings_name(settings.base_name, settings, default)

    @cached_property
    def decisions(self) -> tuple[Decision, ...]:
        """Six for every block; a block of one layer has nothing to skip."""
        decisions = []
        for s, block in enumerate(self.settings.blocks):
            several = frozenset(i for i, depth in enumerate(block.depths) if depth > 1)
            depth = f"stages.{s}.depth"
            decisions += [
                Decision(f"stages.{s}.op", OPERATORS),
                Decision(f"stages.{s}.kernel", KERNELS),
                Decision(f"stages.{s}.se_ratio", SE_RATIOS),
                Decision(f"stages.{s}.width", block.widths),
                Decision(depth, block.depths),
                Decision(f"stages.{s}.skip", SHORTCUTS, Condition(depth, several)),
            ]
        return tuple(decisions)

    def lower(self, arch: Architecture) -> Network:
        """The network of one architecture: logits of shape ``(classes,)``."""
        self.validate(arch)
        settings = self.settings
        builder = NetworkBuilder((3, settings.resolution, settings.resolution))
        with builder.block("stem"):
            x = builder.conv("conv", builder.input, 32, 3, stride=settings.stem_stride)
            x = builder.activation("activation", x, "relu")
        with builder.block("first"):
            x = inverted_residual(builder, x, 16, middle=32, kernel=3, stride=1, activation="relu")
        for s, block in enumerate(settings.blocks):
            choice = self._choice(arch, s)
            for b in range(choice.depth):
                first = b == 0
                layer = replace(choice, shortcut="none") if first else choice
                x = _add_layer(builder, f"stages.{s}.blocks.{b}", x, layer, block.stride if first else 1)
        pooled_classifier(builder, x, 1280, settings.classes, "relu")
        return builder.build()

    def covering(self) -> Iterable[Architecture]:
        """The largest architecture with every operator in every kernel size: each operator has weights of its own."""
        largest: dict[str, Option] = {decision.name: decision.options[-1] for decision in self.decisions}
        for operator in OPERATORS:
            for kernel in KERNELS:
                options = dict(largest)
                for s in range(len(self.settings.blocks)):
                    options |= {f"stages.{s}.op": operator, f"stages.{s}.kernel": kernel}
                yield self.from_options(options)

    def _choice(self, arch: Architecture, stage: int) -> _Choice:
        taken = zip(self.decisions, arch.choices, strict=True)
        operator, kernel, se_ratio, width, depth, skip = [
            decision.options[choice] for decision, choice in list(taken)[6 * stage : 6 * stage + 6]
        ]
        return _Choice(
            str(operator), int(kernel), float(se_ratio), int(width), int(depth), SHORTCUTS[SHORTCUTS.index(skip)]
        )


def _add_layer(builder: NetworkBuilder, name: str, source: str, choice: _Choice, stride: int) -> str:
    """Operators of different kinds have different names, so that they do not share weights."""
    in_channels = builder.shape(source)[0]
    # The ratio is to the channels that the layer reads, expanded or not, as in the authors' code.
    squeeze = SqueezeExcite(int(in_channels * choice.se_ratio), "sigmoid") if choice.se_ratio else None
    if choice.operator == "conv":
        with builder.block(f"{name}.conv"):
            x = builder.conv("conv", source, choice.width, choice.kernel, stride=stride)
            x = builder.activation("activation", x, "relu")
            x = x if squeeze is None else squeeze.add(builder, x)
            return add_shortcut(builder, x, source, choice.shortcut)
    separable = choice.operator == "separable"
    middle = in_channels if separable else expanded(in_channels, int(choice.operator[-1]))
    with builder.block(f"{name}.separable" if separable else f"{name}.mbconv"):
        return inverted_residual(
            builder,
            source,
            choice.width,
            middle=middle,
            kernel=choice.kernel,
            stride=stride,
            activation="relu",
            squeeze_excite=squeeze,
            shortcut=choice.shortcut,
        )


# Channels and layers of MobileNetV2's blocks after the first (Sandler et al. 2018, table 2).
_BLOCKS = (
    ((16, 24, 32), 2),
    ((24, 32, 40), 3),
    ((48, 64, 80), 4),
    ((72, 96, 112, 120), 3),
    ((120, 160, 192, 200), 3),
    ((240, 320, 400), 1),
)


def _blocks(strides: Sequence[int]) -> tuple[Block, ...]:
    depths = ((max(1, layers - 1), layers, layers + 1) if layers > 1 else (1, 2) for _, layers in _BLOCKS)
    rows = zip(_BLOCKS, depths, strides, strict=True)
    return tuple(Block(widths, depth, stride) for (widths, _), depth, stride in rows)


_SETTINGS = Settings("mnasnet", 1000, 224, stem_stride=2, blocks=_blocks((2, 2, 2, 1, 2, 1)))
# Without the first two strides, 32 px end as 4x4 features (224 px end as 7x7).
_SMALL_IMAGES = Settings("mnasnet_32", 10, 32, stem_stride=1, blocks=_blocks((1, 2, 2, 1, 2, 1)))


@register_space("mnasnet")
def mnasnet(*, classes: int = 1000, resolution: int = 224) -> MnasNetSpace:
    """MnasNet at 224 px: per block the operator, kernel, squeeze-and-excite, skip, channels and layers."""
    return MnasNetSpace(replace(_SETTINGS, classes=classes, resolution=resolution), default=_SETTINGS)


@register_space("mnasnet_32")
def mnasnet_32(*, classes: int = 10, resolution: int = 32) -> MnasNetSpace:
    """MnasNet for images of about 32 px: the first two strides left out."""
    return MnasNetSpace(replace(_SMALL_IMAGES, classes=classes, resolution=resolution), default=_SMALL_IMAGES)


def _member(*rows: tuple[str, int, float, int, int]) -> tuple[MnasNetSpace, Architecture]:
    """Operator, kernel, SE ratio, channels and layers of every block; skips are identities."""
    space = mnasnet()
    options: dict[str, Option] = {}
    for s, (operator, kernel, se_ratio, width, depth) in enumerate(rows):
        values: dict[str, Option] = {
            "op": operator,
            "kernel": kernel,
            "se_ratio": se_ratio,
            "width": width,
            "depth": depth,
        }
        options |= {f"stages.{s}.{name}": value for name, value in (values | {"skip": "identity"}).items()}
    return space, space.from_options(options)


@register_published(
    "mnasnet_a1",
    Publication("Tan et al. 2019, figure 7a and table 1", PrintedCount(312, 1e6), PrintedCount(3.9, 1e6, 1)),
)
def _a1() -> tuple[MnasNetSpace, Architecture]:
    return _member(
        ("mbconv6", 3, 0.0, 24, 2),
        ("mbconv3", 5, 0.25, 40, 3),
        ("mbconv6", 3, 0.0, 80, 4),
        ("mbconv6", 3, 0.25, 112, 2),
        ("mbconv6", 5, 0.25, 160, 3),
        ("mbconv6", 3, 0.0, 320, 1),
    )


_ADDITIONS = (
    "a guess that meets the printed figure: the paper does not say what it counts. Without these additions there are "
    "314.4 M, as in other public implementations; with them A1 still has its 312 M"
)


@register_published(
    "mnasnet_b1",
    Publication(
        "Tan et al. 2019, table 2; layers as the authors' code has them",
        PrintedCount(315, 1e6),
        PrintedCount(4.4, 1e6, 1),
        (
            Difference("residual sums", _ADDITIONS, macs=291_648),
            Difference("head.pool", _ADDITIONS, macs=62_720),
        ),
    ),
)
def _b1() -> tuple[MnasNetSpace, Architecture]:
    return _member(
        ("mbconv3", 3, 0.0, 24, 3),
        ("mbconv3", 5, 0.0, 40, 3),
        ("mbconv6", 5, 0.0, 80, 3),
        ("mbconv6", 3, 0.0, 96, 2),
        ("mbconv6", 5, 0.0, 192, 4),
        ("mbconv6", 3, 0.0, 320, 1),
    )
