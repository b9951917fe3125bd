"""HELP and NASFLAT on the protocols of the benchmark.

NASFLAT measures random networks of the source, as the other methods do; its authors choose them by encodings that the
tables do not hold. HELP measures its ten reference networks first. With ten measurements these are what it adapts to,
as in its authors' search on once-for-all's networks; with more it adapts to the others, as in their tables. The authors
draw these from the middle eight tenths of the target's latencies and scale labels by the range of 720 of them. Who has
measured only a few networks knows neither: here the middle is that of the known devices' mean ranks, and the range that
of the networks adapted to, which did best on the validation devices of NAS-Bench-201.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from latency_cases import Case, Row
from numpy.typing import NDArray
from peers.help_encoding import HelpEncoding
from peers.help_training import Known, meta_train, middle, published_episodes
from peers.nasflat_encoding import NasflatEncoding
from peers.nasflat_training import EPOCHS, pre_train
from scipy.stats import rankdata

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

AS_PUBLISHED = "HELP, told the target's range"
_PUBLISHED_SUPPORT = 10
_QUICK = 1


def help_rows(case: Case, seed: int) -> Iterator[Row]:
    """HELP with 10, 20 and 50 measurements; and with 20, told the target's middle and range, as its authors do."""
    encoding = HelpEncoding.load(case.folder, case.table.name)
    train, valid = case.known_s(case.protocols[0].train), case.known_s(case.protocols[0].valid)
    references = case.table.references
    episodes = _QUICK if case.quick else published_episodes(case.table.name)
    known = Known(train, case.source), Known(valid, case.source)
    learnt = meta_train(encoding, *known, references, episodes, seed)
    rng = np.random.default_rng(seed)
    ranks = rankdata(train[case.source], axis=0).mean(axis=1)
    typical = _others(rng.permutation(case.source[middle(np.arange(len(ranks)), ranks)]), references)

    def predicted(latencies: Floats, support: Ints, bounded: Ints) -> Floats:
        bounds = float(latencies[bounded].min()), float(latencies[bounded].max())
        return learnt.predict(support, latencies[support], latencies[references], bounds, seed)

    for device in case.devices:
        latencies = case.table.of(device)
        for count in (count for count in case.counts if count >= len(references)):
            support = typical[: count - len(references)] if count > len(references) else references
            seconds = predicted(latencies, support, support)
            yield from case.scored(device, "HELP", np.union1d(references, support), seed, seconds)
        known_range = middle(case.source, latencies)
        support = _others(rng.permutation(known_range), references)[:_PUBLISHED_SUPPORT]
        seconds = predicted(latencies, support, known_range)
        yield from case.scored(device, AS_PUBLISHED, np.union1d(references, support), seed, seconds)


def nasflat_rows(case: Case, seed: int) -> Iterator[Row]:
    """NASFLAT; it learns only the order of networks, and seconds are fitted to its scores of the measured ones."""
    encoding = NasflatEncoding.load(case.folder, case.table.name)
    known = case.known_s(case.protocols[0].train)
    epochs = _QUICK if case.quick else None
    learnt = pre_train(encoding, case.table.name, known, case.source, epochs or EPOCHS, seed)
    for device in case.devices:
        latencies = case.table.of(device)
        for count in case.counts:
            measured = case.random(seed)[:count]
            seconds = learnt.predict(measured, latencies[measured], seed, epochs=epochs)
            yield from case.scored(device, "NASFLAT-style", measured, seed, seconds)


def _others(networks: Ints, references: Ints) -> Ints:
    return networks[~np.isin(networks, references)]
