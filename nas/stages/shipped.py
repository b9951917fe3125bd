"""Which confirmed networks are exported, and what their cards say of the fronts that they are on."""

from __future__ import annotations

from typing import Any

from nas.stages.fronts import ALL

Row = dict[str, Any]


def shipped_fronts(confirmed: Row, *, fleet: bool) -> list[list[Row]]:
    """The fronts whose members are exported: that of all targets; for a fleet its own and those of its targets too.

    Args:
        confirmed: result of the confirm stage.
        fleet: whether the run is for a fleet.

    Raises:
        KeyError: the result lacks a network that is on a front.
    """
    rows = {row["key"]: row for part in ("members", "dominated", "dropped") for row in confirmed[part]}
    others = confirmed["fronts"]["members"].values() if fleet else ()
    return [confirmed["members"], *([rows[key] for key in keys] for keys in others)]


def fronts_on_card(confirmed: Row, key: str) -> Row:
    """The names of the fronts that a network is on and its latency over the fleet; nothing where there is one target.

    Args:
        confirmed: result of the confirm stage; of an earlier version it has no ``fronts``.
        key: of the network.
    """
    shared = confirmed.get("fronts", {"members": {}})
    if not shared["members"]:
        return {}
    all_targets = [ALL] if any(row["key"] == key for row in confirmed["members"]) else []
    card: Row = {"fronts": all_targets + [name for name, keys in shared["members"].items() if key in keys]}
    if "fleet" in shared:
        fleet = shared["fleet"]
        latency_s = fleet["latencies_s"][key]
        card["fleet"] = {"how": fleet["how"], "weights": fleet["weights"], "latency_s": latency_s, "source": "measured"}
    return card
