"""HELP and NASFLAT on the protocols of the benchmark.

Both measure random networks of the source, as the other methods do. HELP measures its ten reference networks first:
with ten measurements these are what it adapts to, as in its authors' search on once-for-all's networks, and with more
it adapts to the others, as in their tables. NASFLAT's authors choose networks by encodings that the tables do not hold.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from latency_cases import COUNTS, Case, Row
from numpy.typing import NDArray
from peers.help_encoding import HelpEncoding
from peers.help_training import Known, meta_train, middle, published_episodes
from peers.nasflat_encoding import NasflatEncoding
from peers.nasflat_training import EPOCHS, pre_train

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

AS_PUBLISHED = "HELP, told the target's range"
_PUBLISHED_SUPPORT = 10
_QUICK = 1


def help_rows(case: Case, seed: int) -> Iterator[Row]:
    """HELP with 10, 20 and 50 measurements; and with 20 and labels scaled by the target's range, as its authors do."""
    encoding = HelpEncoding.load(case.folder, case.table.name)
    known = case.protocols[0].train, case.protocols[0].valid
    train, valid = (Known(case.known_s(devices), case.source) for devices in known)
    references = case.table.references
    episodes = _QUICK if case.quick else published_episodes(case.table.name)
    learnt = meta_train(encoding, train, valid, references, episodes, seed)

    def predicted(latencies: Floats, support: Ints, bounded: Ints) -> Floats:
        bounds = float(latencies[bounded].min()), float(latencies[bounded].max())
        return learnt.predict(support, latencies[support], latencies[references], bounds, seed)

    for device in case.devices:
        latencies = case.table.of(device)
        for count in (count for count in COUNTS if count >= len(references)):
            support = _others(case.random(seed), references)[: count - len(references)]
            measured = np.concatenate([references, support])
            seconds = predicted(latencies, support if len(support) else references, measured)
            yield from case.scored(device, "HELP", measured, seed, seconds)
        known_range = middle(case.source, latencies)
        drawn = np.random.default_rng(seed).permutation(known_range)
        support = _others(drawn, references)[:_PUBLISHED_SUPPORT]
        seconds = predicted(latencies, support, known_range)
        yield from case.scored(device, AS_PUBLISHED, np.concatenate([references, support]), seed, seconds)


def nasflat_rows(case: Case, seed: int) -> Iterator[Row]:
    """NASFLAT; it learns only the order of networks, and seconds are fitted to its scores of the measured ones."""
    encoding = NasflatEncoding.load(case.folder, case.table.name)
    known = case.known_s(case.protocols[0].train)
    epochs = _QUICK if case.quick else None
    learnt = pre_train(encoding, case.table.name, known, case.source, epochs or EPOCHS, seed)
    for device in case.devices:
        latencies = case.table.of(device)
        for count in COUNTS:
            measured = case.random(seed)[:count]
            seconds = learnt.predict(measured, latencies[measured], seed, epochs=epochs)
            yield from case.scored(device, "NASFLAT-style", measured, seed, seconds)


def _others(networks: Ints, references: Ints) -> Ints:
    return networks[~np.isin(networks, references)]
