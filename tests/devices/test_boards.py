from __future__ import annotations

from typing import Any

import pytest

from devices import BOARDS, Board, DeviceError, get_board


def test_presets_have_the_sizes_of_the_datasheets() -> None:
    sizes = {name: (board.flash_bytes // 1024, board.sram_bytes // 1024) for name, board in BOARDS.items()}
    assert sizes == {"stm32f412": (1024, 256), "stm32f746": (1024, 320), "stm32h743": (2048, 512)}
    assert all(get_board(name) is board for name, board in BOARDS.items())


def test_unknown_board_is_an_error_that_tells_the_known_ones() -> None:
    with pytest.raises(DeviceError, match=r"stm32f746.*flash_bytes"):
        get_board("stm32")


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"name": "a b"}, "board name is 'a b'"),
        ({"flash_bytes": 0}, "flash_bytes is 0"),
        ({"sram_bytes": True}, "sram_bytes is True"),
        ({"sram_bytes": 1.5}, "sram_bytes is 1.5"),
    ],
)
def test_wrong_budget_is_an_error(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(DeviceError, match=told):
        Board(**{"name": "mine", "flash_bytes": 1, "sram_bytes": 1, **fields})
