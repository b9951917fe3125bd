"""Measures many networks so that the order, the hour and other work on the machine do not pass for their properties.

Networks are visited in random order, in several passes; a sentinel, one small fixed network, is measured before the
first, between them and after the last. Visits that were disturbed are made again after their pass, as far as a quarter
of the pass goes and twice at most; what stays disturbed is flagged.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Protocol, TypeAlias

from devices import Measurement
from nas.drift import Drift, Point
from nas.visits import DISTURBED, Visit, moment

Pair: TypeAlias = tuple[str, str]
"""A network's key and a target's name."""

SENTINEL_EVERY = 8
"""Visits to a target between two of its sentinel."""

_ATTEMPTS = 3
_REPEATED_SHARE = 0.25


class Bench(Protocol):
    """Where measuring is done and kept; visits are numbered from 1, and each is made once."""

    def known(self, pair: Pair, visit: int) -> Measurement | None:
        """A visit that was made before and did not fail, or is not tried again."""
        ...

    def measure(self, pair: Pair, visit: int) -> Measurement:
        """Make a visit and keep it."""
        ...

    def known_sentinel(self, target: str, visit: int) -> Measurement | None:
        """A visit to a target's sentinel that was made before and did not fail."""
        ...

    def measure_sentinel(self, target: str, visit: int) -> Measurement:
        """Visit a target's sentinel and keep what comes of it."""
        ...


class Campaign:
    """All visits to some networks; killed and begun again, it makes those that are missing.

    Args:
        orders: for each pass, the pairs in the order they are visited.
        bench: where measuring is done.
        watched: targets that have a sentinel.
        settled: pairs that nothing more is measured of; their known visits are looked up.
        on_visit: called for each pair of each pass, with its visit or, where none is needed, with None; and after each
            repeated visit.
        sentinel_every: visits to a target between two of its sentinel.
    """

    def __init__(
        self,
        orders: Sequence[Sequence[Pair]],
        bench: Bench,
        *,
        watched: Collection[str] = (),
        settled: Collection[Pair] = (),
        on_visit: Callable[[Pair, Visit | None], None] = lambda _pair, _visit: None,
        sentinel_every: int = SENTINEL_EVERY,
    ) -> None:
        self._orders = orders
        self._bench = bench
        self._settled = frozenset(settled)
        self._on_visit = on_visit
        self._every = sentinel_every
        self._since: dict[str, float] = dict.fromkeys(watched, math.inf)
        self.sentinels: dict[str, list[Measurement]] = {target: [] for target in watched}
        self.visits: dict[Pair, list[Visit]] = {pair: [] for order in orders for pair in order}

    def run(self) -> None:
        """Make all visits that are missing."""
        for target, found in self.sentinels.items():
            while (known := self._bench.known_sentinel(target, len(found) + 1)) is not None:
                found.append(known)
        for number, order in enumerate(self._orders):
            for pair in order:
                if all(visit.measurement.ok for visit in self.visits[pair]):
                    self._visit(pair, number, 0)
                else:
                    self._on_visit(pair, None)
            self._close()
            self._repeat(number, order)

    def add(self, other: Campaign) -> None:
        """Count what another campaign found as well; where both visited a network, only the other's visits."""
        self.visits |= other.visits
        for target, found in other.sentinels.items():
            both = [*self.sentinels.get(target, ()), *found]
            self.sentinels[target] = list(dict.fromkeys(both))  # both may have been found under the same key

    def drift(self, target: str) -> Drift:
        """How the target drifted, by the sentinels that were not disturbed themselves."""
        found = self.sentinels.get(target, ())
        quiet = [measurement for measurement in found if DISTURBED.isdisjoint(measurement.flags)]
        return Drift([Point(*moment(m), m.median_s) for m in quiet or found if not math.isnan(moment(m)[1])])

    def of_target(self, target: str) -> Mapping[Pair, Sequence[Visit]]:
        """All visits to the networks on one target."""
        return {pair: visits for pair, visits in self.visits.items() if pair[1] == target}

    def _repeat(self, number: int, order: Sequence[Pair]) -> None:
        left = math.ceil(_REPEATED_SHARE * len(order))
        for attempt in range(1, _ATTEMPTS):
            again = self._disturbed(number, order)[:left]
            for pair in again:
                self._visit(pair, number, attempt)
            left -= len(again)
            if again:
                self._close()

    def _disturbed(self, number: int, order: Iterable[Pair]) -> list[Pair]:
        drifts = {target: self.drift(target) for target in {target for _, target in self.visits}}
        found = []
        for pair in order:
            made = [visit for visit in self.visits[pair] if visit.number == number]
            if made and all(visit.disturbed(drifts[pair[1]]) for visit in made):
                found.append(pair)
        return found

    def _visit(self, pair: Pair, number: int, attempt: int) -> None:
        which = 1 + number + attempt * len(self._orders)
        measurement = self._bench.known(pair, which)
        if measurement is None:
            if pair in self._settled:
                self._on_visit(pair, None)
                return
            if self._since.get(pair[1], -math.inf) >= self._every:
                self._watch(pair[1])
            measurement = self._bench.measure(pair, which)
            if pair[1] in self._since:
                self._since[pair[1]] += 1
        visit = Visit(number, attempt, measurement)
        self.visits[pair].append(visit)
        self._on_visit(pair, visit)

    def _watch(self, target: str) -> None:
        found = self.sentinels[target]
        made = self._bench.measure_sentinel(target, len(found) + 1)
        if made.ok:  # a failed one is tried again when the next is due
            found.append(made)
        self._since[target] = 0

    def _close(self) -> None:
        """End with a sentinel where something was measured since the last one."""
        for target, since in self._since.items():
            if 0 < since < math.inf:
                self._watch(target)
