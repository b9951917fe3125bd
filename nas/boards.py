"""Whether a network has room on a microcontroller. Everything here is counted; nothing is timed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from devices import Artifact, Board, DeviceError, tensor_arena
from search_spaces import Network, flash_bytes, peak_activation_bytes

_BITS = 8


def board_row(board: Board, network: Network, artifact: Artifact) -> dict[str, Any]:
    """What a network takes of a board's budget, by two counts.

    *Planned* is what the search's limits go by: INT8 weights with int32 biases, and the largest set of int8 tensors
    that are alive together, node by node. A runtime made for microcontrollers that pads and activates in place comes
    near it. *File* is what the TFLite file takes as it is: its bytes, and the arena that LiteRT lays out for it without
    XNNPACK, where padded copies and activations that are spelt out are tensors of their own.

    Args:
        board: the budget.
        network: the network.
        artifact: its INT8 TFLite file.

    Returns:
        A JSON object: ``planned`` and ``file``, each with ``flash_bytes``, ``sram_bytes`` and ``fits`` (none where
        LiteRT could not lay the file out, with the reason under ``why``); ``source`` is always ``counted``.

    Raises:
        DeviceError: a file that is missing or has changed.
    """
    planned = {"flash_bytes": flash_bytes(network, _BITS), "sram_bytes": peak_activation_bytes(network, _BITS)}
    content = artifact.read()
    laid_out: dict[str, Any] = {"flash_bytes": len(content), "sram_bytes": None, "fits": None}
    try:
        laid_out["sram_bytes"] = tensor_arena(content).without_image_bytes
    except DeviceError as error:
        laid_out["why"] = str(error)
    else:
        laid_out["fits"] = _fits(board, laid_out)
    return {
        "flash_bytes": board.flash_bytes,
        "sram_bytes": board.sram_bytes,
        "planned": {**planned, "fits": _fits(board, planned)},
        "file": laid_out,
        "source": "counted",
    }


def describe_shortage(name: str, row: dict[str, Any], path: Path) -> str | None:
    """Why the file as it is does not run on the board though the network could, in one sentence; or none."""
    if row["file"]["fits"] is not False:
        return None
    needs = (("flash_bytes", "flash"), ("sram_bytes", "SRAM"))
    short = [
        f"{row['file'][size]} bytes of {what} where the board has {row[size]}"
        for size, what in needs
        if row["file"][size] > row[size]
    ]
    return (
        f"{path} takes {' and '.join(short)}, as LiteRT lays it out on {name}: it needs a runtime that pads and "
        f"activates in place (planned: {row['planned']['sram_bytes']} bytes of SRAM), or smaller budgets"
    )


def _fits(board: Board, row: dict[str, Any]) -> bool:
    return bool(row["flash_bytes"] <= board.flash_bytes and row["sram_bytes"] <= board.sram_bytes)
