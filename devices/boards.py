"""Microcontrollers by what they have room for. Nothing is timed on them: flash and memory are counted."""

from __future__ import annotations

import re
from dataclasses import dataclass

from devices.errors import DeviceError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_KIB = 1024


@dataclass(frozen=True, slots=True)
class Board:
    """A microcontroller's budget.

    Attributes:
        name: of the board.
        flash_bytes: flash for weights, with whatever else has to lie there.
        sram_bytes: memory in one piece for activations, with whatever else has to lie there.

    Raises:
        DeviceError: a name with other characters than letters, digits, ``-`` and ``_``, or a size that is no positive
            whole number.
    """

    name: str
    flash_bytes: int
    sram_bytes: int

    def __post_init__(self) -> None:
        """Check the values, which come from a configuration."""
        if not _NAME.fullmatch(self.name):
            raise DeviceError(f"board name is {self.name!r}; use letters, digits, '-' and '_', at most 64 of them")
        for size in ("flash_bytes", "sram_bytes"):
            value = getattr(self, size)
            if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
                raise DeviceError(f"board {self.name!r}: {size} is {value!r}; give a whole number of bytes above 0")


_PRESETS = (
    # The largest member of each line, by ST's datasheets DS11139, DS10916 and DS12110. The H743 has 1 MiB of memory in
    # all, of which the 512 KiB of AXI SRAM are the largest piece, and an arena has to lie in one.
    Board("stm32f412", 1024 * _KIB, 256 * _KIB),
    Board("stm32f746", 1024 * _KIB, 320 * _KIB),
    Board("stm32h743", 2048 * _KIB, 512 * _KIB),
)
BOARDS: dict[str, Board] = {board.name: board for board in _PRESETS}
"""Boards that are known by name."""


def get_board(name: str) -> Board:
    """A board that is known by name.

    Raises:
        DeviceError: an unknown name.
    """
    if name not in BOARDS:
        raise DeviceError(
            f"there is no board {name!r}; there are {sorted(BOARDS)}, and any other can be given as "
            "{name: …, flash_bytes: …, sram_bytes: …}"
        )
    return BOARDS[name]
