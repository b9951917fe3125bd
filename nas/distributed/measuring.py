"""Measuring on the units of a pool: each has a campaign of its own over a part of the networks, then over another."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

from nas.campaign import Campaign, Pair
from nas.distributed.lease import Lease
from nas.distributed.pool import PooledDevice
from nas.distributed.sharing import LostError, share_out
from nas.errors import NasError

Orders: TypeAlias = Sequence[Sequence[Pair]]
"""For each pass, the pairs in the order they are visited."""

Begin: TypeAlias = Callable[[Lease, Orders], Campaign]
"""Makes the campaign of some networks on one unit."""

PARTS = 4
"""Into how many parts for each unit the networks are divided: a unit that is lost leaves less than one of them."""

_FEWEST = 8  # networks in a part: each begins and ends with a sentinel


def measure_on_units(pool: PooledDevice, orders: Orders, begin: Begin) -> Sequence[Campaign]:
    """Measure networks on all units of a pool at once.

    What a unit was at that is lost, another one goes on with; what is in the ledger by then is not measured again.

    Args:
        pool: where to measure.
        orders: for each pass, the pairs.
        begin: makes campaigns.

    Returns:
        The campaigns in the order they were begun, those of units that were lost among them.

    Raises:
        NasError: no unit is left, or the Ray cluster cannot be reached.
    """
    leases = pool.leases()
    begun = [begin(lease, [[] for _ in orders]) for lease in leases]
    for campaign in begun:
        campaign.run()  # finds the sentinels of an earlier run, also where the unit cannot be had now
    if not orders[0]:
        return begun
    pool.connect()
    try:
        hands = {lease.name: _Hand(lease, begin, begun) for lease in leases}
        share_out(parts(orders, len(hands)), hands, pool.note)
    except LostError as error:
        raise NasError(
            f"no unit is left to measure on ({error}); when one can be reached again, run the same command, which goes "
            "on where it stopped"
        ) from error
    finally:
        pool.give_back()
    return begun


def parts(orders: Orders, units: int) -> list[Orders]:
    """All networks in parts, in the order of the first pass; one unit has them in one."""
    pairs = orders[0]
    size = max(_FEWEST, math.ceil(len(pairs) / (1 if units == 1 else PARTS * units)))
    chosen = [frozenset(pairs[start : start + size]) for start in range(0, len(pairs), size)]
    return [[[pair for pair in order if pair in part] for order in orders] for part in chosen]


class _Hand:
    """A unit at work; see ``Hand``."""

    def __init__(self, lease: Lease, begin: Begin, begun: list[Campaign]) -> None:
        self._lease, self._begin, self._begun = lease, begin, begun

    def ready(self) -> None:
        self._lease.check()

    def do(self, piece: Orders) -> None:
        campaign = self._begin(self._lease, piece)
        self._begun.append(campaign)
        campaign.run()

    def stop(self) -> None:
        self._lease.close()
