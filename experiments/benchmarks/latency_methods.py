"""The rows of the benchmark of latency predictors: every method, on every device of a case, with one seed.

Every measurement on the target counts. Networks are measured among those of the source devices.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from latency_baselines import boosting, mix
from latency_blocks import load_blocks
from latency_cases import Case, Row
from latency_ceiling import ceiling
from latency_peers import help_rows, nasflat_rows
from numpy.typing import NDArray

from latency_predictors.few_shot import Encoded

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

INTERVALS_ON = 250


@dataclass(frozen=True)
class Method:
    """One or more rows of the table.

    Attributes:
        rows: of a case with a seed.
        seeded: whether another seed gives other rows.
    """

    rows: Callable[[Case, int], Iterator[Row]]
    seeded: bool = True


def our_rows(case: Case, seed: int) -> Iterator[Row]:
    """Random and chosen networks; none with the first seed only, as it has no chance in it."""
    none = np.zeros(0, np.intp)
    for order, way in ((case.random(seed), "random"), (case.chosen(seed), "chosen")):
        for device in case.devices:
            for count in case.counts:
                yield from _ours(case, device, order[:count], f"ours, {way}", seed)
    if seed == 0:
        about = {"fit_seconds": case.fit_seconds, "rate": _prediction_rate(case)}
        for device in case.devices:
            yield from (row | about for row in _ours(case, device, none, "ours", seed))


def _ours(case: Case, device: str, measured: Ints, method: str, seed: int) -> Iterator[Row]:
    latencies = case.table.of(device)
    start = time.process_time()
    target = case.fleet.adapt(case.encoded.take(measured), latencies[measured])
    seconds = time.process_time() - start
    rows = case.scored(device, method, measured, seed, target.predict(case.encoded))
    for protocol, row in zip(case.protocols, rows, strict=True):
        judged = case.judged(protocol, device, measured)
        some = judged[:: max(1, len(judged) // INTERVALS_ON)]
        lower, upper = target.interval(case.encoded.take(some))
        inside = float(((lower <= latencies[some]) & (latencies[some] <= upper)).mean())
        yield row | {"coverage_90": inside, "adapt_seconds": seconds, "unlike_any": bool(target.is_unlike_any)}


def _prediction_rate(case: Case) -> float:
    """Networks predicted in a second of CPU time, from encoded networks, after ten measurements."""
    measured = case.source[:10]
    target = case.fleet.adapt(case.encoded.take(measured), case.table.of(case.devices[0])[measured])
    start = time.process_time()
    for _ in range(5):
        target.predict(case.encoded)
    return 5 * len(case.encoded) / (time.process_time() - start)


def _baseline(name: str, predict: Callable[[Encoded, Floats, Encoded], Floats]) -> Method:
    def rows(case: Case, seed: int) -> Iterator[Row]:
        for device in case.devices:
            latencies = case.table.of(device)
            for count in case.counts:
                measured = case.random(seed)[:count]
                predicted = predict(case.encoded.take(measured), latencies[measured], case.encoded)
                yield from case.scored(device, name, measured, seed, predicted)

    return Method(rows)


def block_rows(case: Case, seed: int) -> Iterator[Row]:
    """A look-up table of blocks, learnt from the target's networks alone."""
    blocks = load_blocks(case.folder, case.table.name)
    for device in case.devices:
        for count in case.counts:
            measured = case.random(seed)[:count]
            predicted = blocks.predict(measured, case.table.of(device)[measured])
            yield from case.scored(device, "block table", measured, seed, predicted)


def macs_rows(case: Case, seed: int) -> Iterator[Row]:
    """Multiply-accumulates alone, which order networks and give no seconds."""
    for device in case.devices:
        none = np.zeros(0, np.intp)
        yield from case.scored(device, "MACs", none, seed, case.table.macs, only_ranks=True)


def ceiling_rows(case: Case, seed: int) -> Iterator[Row]:
    """What the features here can tell of a device that was measured on four fifths of the table."""
    for device in case.devices:
        predicted = ceiling(case.table.description.matrix, case.table.of(device), quick=case.quick)
        for row in case.scored(device, CEILING, np.zeros(0, np.intp), seed, predicted):
            yield row | {"samples": 4 * len(predicted) // 5}


CEILING = "ceiling: four fifths of the table measured"

METHODS: Mapping[str, Method] = {
    "ours": Method(our_rows),
    "HELP": Method(help_rows),
    "NASFLAT": Method(nasflat_rows),
    "mix": _baseline("mix baseline e", mix),
    "blocks": Method(block_rows),
    "boosting": _baseline("boosting", boosting),
    "MACs": Method(macs_rows, seeded=False),
    "ceiling": Method(ceiling_rows, seeded=False),
}
"""By the name that ``--rows`` takes."""
