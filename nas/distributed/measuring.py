"""Measuring on the units of pools: each has a campaign of its own over a part of the networks, then over another."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from nas.campaign import Campaign, Pair
from nas.distributed.lease import Lease, Unit
from nas.distributed.pool import PooledDevice
from nas.distributed.sharing import LostError, share_out
from nas.distributed.unit_device import UnitDevice
from nas.errors import NasError

Orders: TypeAlias = Sequence[Sequence[Pair]]
"""For each pass, the pairs in the order they are visited."""

Begin: TypeAlias = Callable[[Lease, Mapping[str, UnitDevice], Orders], Campaign]
"""Makes the campaign of some networks on one unit, whose devices are given by target."""

PARTS = 4
"""Into how many parts for each unit the networks are divided: a unit that is lost leaves less than one of them."""

_FEWEST = 8  # networks in a part: each begins and ends with a sentinel


def measure_on_units(
    orders: Orders, pools: Mapping[str, PooledDevice], begin: Begin, note: Callable[[str], None]
) -> list[Campaign]:
    """Measure networks on all units of pools at once.

    What a unit was at that is lost, another one goes on with; what is in the ledger by then is not measured again.

    Args:
        orders: for each pass, the pairs; their targets are pools.
        pools: by target.
        begin: makes campaigns.
        note: told in a sentence what became of a unit, from any thread.

    Returns:
        The campaigns, in the order they were begun; those of units that were lost among them.

    Raises:
        NasError: no unit is left of a pool.
    """
    units = dict.fromkeys(unit for pool in pools.values() for unit in pool.units)
    begun: list[Campaign] = []
    hands = {}
    try:
        for unit in units:
            devices = {target: pool.unit(unit) for target, pool in pools.items() if unit in pool.units}
            hands[unit.name] = _Hand(unit, devices, begin, begun)
        share_out(parts(orders, pools), hands, note)
    except LostError as error:
        raise NasError(
            f"no unit is left to measure on ({error}); when one can be reached again, run the same command, which goes "
            "on where it stopped"
        ) from error
    finally:
        for pool in pools.values():
            pool.give_back()
    return begun


@dataclass(frozen=True)
class Part:
    """Some of the networks.

    Attributes:
        units: that can measure them.
        orders: their visits.
    """

    units: Sequence[Unit]
    orders: Orders


def parts(orders: Orders, pools: Mapping[str, PooledDevice]) -> Iterator[Part]:
    """All networks in parts, in the order of the first pass; a pool of one unit has them in one."""
    by_units: dict[tuple[Unit, ...], list[Pair]] = {}
    for pair in orders[0]:
        by_units.setdefault(pools[pair[1]].units, []).append(pair)
    for units, pairs in by_units.items():
        size = len(pairs) if len(units) == 1 else max(_FEWEST, math.ceil(len(pairs) / (PARTS * len(units))))
        for start in range(0, len(pairs), size):
            chosen = frozenset(pairs[start : start + size])
            yield Part(units, [[pair for pair in order if pair in chosen] for order in orders])


class _Hand:
    """A unit at work; see ``Hand``."""

    def __init__(self, unit: Unit, devices: Mapping[str, UnitDevice], begin: Begin, begun: list[Campaign]) -> None:
        self._unit, self._devices, self._begin, self._begun = unit, devices, begin, begun
        self._lease = next(iter(devices.values())).lease

    def takes(self, piece: Part) -> bool:
        return self._unit in piece.units

    def ready(self) -> None:
        self._lease.take()

    def do(self, piece: Part) -> None:
        campaign = self._begin(self._lease, self._devices, piece.orders)
        self._begun.append(campaign)
        campaign.run()

    def stop(self) -> None:
        self._lease.give_back()
