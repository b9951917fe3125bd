"""SpaceEvo's hyperspaces (Wang et al. 2023, section 4 and appendix): spaces of search spaces for INT8 inference.

A member takes, for each of six stages, one kind of block and a window of consecutive widths; its networks then choose,
in every stage, a depth and each block's kernel, expansion and a width from the window. A member is called by two groups
of six digits as in the authors' code, kinds then windows: ``122222-155400``. Searching the hyperspace, that is, scoring
members, is not done here.

Every block adds its input, through a 1×1 convolution where shapes differ: the shortcuts that the authors force on.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from search_spaces.errors import SpaceError
from search_spaces.network import ActivationKind
from search_spaces.registry import register_space
from search_spaces.staged import StagedSpace
from search_spaces.staged_settings import Head, Settings, Stage, Stem


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of block with its elastic ranges, the same in every stage."""

    block: str
    kernels: tuple[int, ...]
    expansions: tuple[float, ...] = ()
    activation: ActivationKind = "relu"
    squeeze_excite: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """A stage of a hyperspace: all its widths, and how many consecutive ones a member takes."""

    widths: tuple[int, ...]
    window: int
    depths: tuple[int, ...]
    stride: int

    @property
    def windows(self) -> int:
        """Number of windows to choose from."""
        return len(self.widths) - self.window + 1


@dataclass(frozen=True, slots=True)
class Hyperspace:
    """A space of search spaces.

    Attributes:
        base: what all members share: resolutions, stem, head, and the stages before the first row.
        kinds: kinds of block that each row chooses from.
        rows: the stages that members differ in.
    """

    base: Settings
    kinds: tuple[Kind, ...]
    rows: tuple[Row, ...]

    @property
    def size(self) -> int:
        """Number of members."""
        return prod(len(self.kinds) * row.windows for row in self.rows)

    def sample(self, rng: np.random.Generator) -> str:
        """Code of a member, kinds and windows uniform."""
        kinds = [int(rng.integers(len(self.kinds))) for _ in self.rows]
        windows = [int(rng.integers(row.windows)) for row in self.rows]
        return "-".join("".join(map(str, digits)) for digits in (kinds, windows))

    def member(
        self, code: str, *, classes: int, resolutions: Sequence[int], default: Settings | None = None
    ) -> StagedSpace:
        """A member as a search space.

        Args:
            code: one digit per row for its kind, ``-``, one digit per row for its window.
            classes: classes to tell apart.
            resolutions: sides of the input image, ascending.
            default: settings for which the space is called by its registered name alone.

        Raises:
            SpaceError: a code that is not of this hyperspace, or settings that make no space.
        """
        settings = replace(
            self.base,
            classes=classes,
            resolutions=tuple(resolutions),
            stages=(*self.base.stages, *self._stages(code)),
        )
        return StagedSpace(settings, default)

    def _stages(self, code: str) -> tuple[Stage, ...]:
        count = len(self.rows)
        if not re.fullmatch(rf"[0-9]{{{count}}}-[0-9]{{{count}}}", code):
            raise SpaceError(
                f"member is {code!r}; give {count} digits, '-' and {count} digits, such as {'1' * count}-{'0' * count}"
            )
        kinds, windows = ([int(digit) for digit in part] for part in code.split("-"))
        for place, (row, kind, window) in enumerate(zip(self.rows, kinds, windows, strict=True)):
            if kind >= len(self.kinds) or window >= row.windows:
                allowed = f"kinds 0 to {len(self.kinds) - 1} and windows 0 to {row.windows - 1}"
                raise SpaceError(
                    f"member {code!r}: stage {place + 1} has kind {kind} and window {window}; allowed: {allowed}"
                )
        return tuple(map(self._stage, self.rows, kinds, windows))

    def _stage(self, row: Row, kind: int, window: int) -> Stage:
        chosen = self.kinds[kind]
        return Stage(
            kinds=(chosen.block,),
            widths=row.widths[window : window + row.window],
            depths=row.depths,
            kernels=chosen.kernels,
            expansions=chosen.expansions,
            stride=row.stride,
            activation=chosen.activation,
            squeeze_excite=chosen.squeeze_excite,
            projection=True,
            own_widths=True,
        )


def _base(name: str, stem: tuple[int, ...], first: Stage, activation: ActivationKind) -> Settings:
    return Settings(
        base_name=name,
        classes=1000,
        resolutions=(160, 176, 192, 208, 224),
        width_multipliers=(1.0,),
        stem=Stem(stem, 2, "relu"),
        stages=(first,),
        head=Head(expand=1280, features=1920, activation=activation),
    )


_EIGHT = (16, 24, 32)
_SIXTEEN = (16, 32)

MOBILE = Hyperspace(
    base=_base(
        "spaceevo_mobile",
        _EIGHT,
        Stage(("inverted_residual",), _EIGHT, (1, 2), expansions=(1,), own_widths=True),
        "swish",
    ),
    kinds=(
        Kind("double_separable", (3, 5, 7)),
        Kind("inverted_residual", (3, 5, 7), (3, 6, 8), "relu6"),
        Kind("inverted_residual", (3, 5, 7), (3, 6, 8), "swish", squeeze_excite=True),
        Kind("bottleneck", (3, 5), (0.5, 1.0, 1.5)),
        Kind("fused_inverted_residual", (3, 5, 7), (1, 2, 3, 4), "swish", squeeze_excite=True),
        Kind("stacked_inverted_residual", (3, 5, 7), (3, 6, 8), "swish", squeeze_excite=True),
        Kind("stacked_inverted_residual", (3, 5, 7), (3, 6, 8), "relu6"),
    ),
    rows=(
        Row(tuple(range(24, 41, 8)), 2, (2, 3, 4), 2),
        Row(tuple(range(24, 73, 8)), 2, (2, 3, 4), 2),
        Row(tuple(range(56, 113, 8)), 3, (2, 3, 4, 5, 6), 2),
        Row(tuple(range(112, 177, 8)), 3, (2, 3, 4, 5, 6, 7, 8), 1),
        Row((192, 200, 208, 216, 224, 240, 256, 272, 288), 5, (2, 3, 4, 5, 6, 7, 8), 2),
        Row((*range(216, 361, 16),), 7, (1, 2), 1),
    ),
)
"""For phones: the hyperspace of the spaces found for TFLite on a Pixel 4."""

VNNI = Hyperspace(
    base=_base(
        "spaceevo_vnni",
        _SIXTEEN,
        Stage(("bottleneck",), _SIXTEEN, (1, 2), expansions=(0.5,), own_widths=True),
        "hard_swish",
    ),
    kinds=(
        Kind("double_separable", (3, 5)),
        Kind("inverted_residual", (3, 5), (4, 6, 8), "relu6"),
        Kind("inverted_residual", (3, 5), (4, 6, 8), "hard_swish", squeeze_excite=True),
        Kind("bottleneck", (3, 5, 7), (0.5, 1.0, 1.5)),
        Kind("bottleneck", (3, 5, 7), (0.5, 1.0, 1.5), squeeze_excite=True),
        Kind("fused_inverted_residual", (3, 5, 7), (1, 2, 3, 4), "swish"),
    ),
    rows=(
        Row(tuple(range(32, 65, 16)), 2, (2, 3, 4), 2),
        Row(tuple(range(32, 97, 16)), 2, (2, 3, 4), 2),
        Row(tuple(range(64, 145, 16)), 3, (2, 3, 4, 5, 6), 2),
        Row(tuple(range(112, 193, 16)), 3, (2, 3, 4, 5, 6), 1),
        Row(tuple(range(192, 305, 16)), 5, (2, 3, 4, 5, 6), 2),
        Row(tuple(range(304, 449, 16)), 7, (1, 2), 1),
    ),
)
"""For x86 processors with VNNI: the hyperspace of the spaces found for ONNX Runtime."""

SMALL_IMAGES = Hyperspace(
    base=replace(
        MOBILE.base,
        base_name="spaceevo_32",
        classes=10,
        resolutions=(16, 20, 24, 28, 32),
        stem=Stem(_EIGHT, 1, "relu"),
        head=Head(expand=480, features=640, activation="swish"),
    ),
    kinds=MOBILE.kinds,
    rows=(
        Row(tuple(range(16, 41, 8)), 2, (1, 2, 3), 1),
        Row(tuple(range(24, 73, 8)), 2, (1, 2, 3), 2),
        Row(tuple(range(56, 113, 8)), 3, (1, 2, 3), 2),
        Row(tuple(range(96, 161, 8)), 3, (1, 2, 3), 1),
    ),
)
"""For images of about 32 px: the phones' kinds of block in fewer and narrower stages with fewer strides."""


def _factory_settings(hyperspace: Hyperspace, code: str) -> Settings:
    base = hyperspace.base
    return hyperspace.member(code, classes=base.classes, resolutions=base.resolutions).settings


_MOBILE_MEMBER, _VNNI_MEMBER, _SMALL_MEMBER = "122222-155400", "151122-023231", "1242-0111"


@register_space("spaceevo_mobile")
def spaceevo_mobile(
    *,
    member: str = _MOBILE_MEMBER,
    classes: int = MOBILE.base.classes,
    resolutions: Sequence[int] = MOBILE.base.resolutions,
) -> StagedSpace:
    """A member of SpaceEvo's hyperspace for phones, by default the one found for a Pixel 4."""
    default = _factory_settings(MOBILE, _MOBILE_MEMBER)
    return MOBILE.member(member, classes=classes, resolutions=resolutions, default=default)


@register_space("spaceevo_vnni")
def spaceevo_vnni(
    *,
    member: str = _VNNI_MEMBER,
    classes: int = VNNI.base.classes,
    resolutions: Sequence[int] = VNNI.base.resolutions,
) -> StagedSpace:
    """A member of SpaceEvo's hyperspace for x86 processors, by default the one found for VNNI."""
    default = _factory_settings(VNNI, _VNNI_MEMBER)
    return VNNI.member(member, classes=classes, resolutions=resolutions, default=default)


@register_space("spaceevo_32")
def spaceevo_32(
    *,
    member: str = _SMALL_MEMBER,
    classes: int = SMALL_IMAGES.base.classes,
    resolutions: Sequence[int] = SMALL_IMAGES.base.resolutions,
) -> StagedSpace:
    """A member of SpaceEvo's hyperspace for phones, cut down to images of about 32 px."""
    default = _factory_settings(SMALL_IMAGES, _SMALL_MEMBER)
    return SMALL_IMAGES.member(member, classes=classes, resolutions=resolutions, default=default)
