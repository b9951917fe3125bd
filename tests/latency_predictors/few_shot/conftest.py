from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from latency_predictors.few_shot import Description, Encoded, Fleet

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class World:
    """Made-up networks of eight layers with five options each, and devices that cost them by work and launches."""

    description: Description
    quantities: dict[str, Floats]
    latencies_s: Floats  # the last device is nobody's relative
    fleet: Fleet
    encoded: Encoded


def made_networks(count: int, rng: np.random.Generator) -> tuple[Description, dict[str, Floats], Floats]:
    options = rng.integers(0, 5, (count, 8))
    work = np.array([0.0, 1.0, 2.0, 4.0, 8.0])[options]
    launches = (options > 0).astype(float)
    one_hot = (options[:, :, None] == np.arange(5)).astype(float).reshape(count, -1)
    groups = {"work": work.sum(axis=1)[:, None], "launches": launches.sum(axis=1)[:, None], "layers": one_hot}
    quantities = {"work": 1 + work.sum(axis=1), "launches": 1 + launches.sum(axis=1)}
    return Description.of(groups), quantities, one_hot


def made_latencies(quantities: dict[str, Floats], one_hot: Floats, rng: np.random.Generator) -> Floats:
    columns = []
    for share in (0.1, 0.3, 0.5, 0.7, 0.9, 0.4):
        own = 0.2 * np.abs(rng.normal(size=one_hot.shape[1]))
        time = share * quantities["work"] / 25 + (1 - share) * quantities["launches"] / 7 + 0.5 * one_hot @ own
        columns.append(1e-3 * (1 + 9 * share) * time * rng.lognormal(0, 0.01, len(time)))
    return np.stack(columns, axis=1)


@pytest.fixture(scope="session")
def world() -> World:
    rng = np.random.default_rng(0)
    description, quantities, one_hot = made_networks(260, rng)
    latencies = made_latencies(quantities, one_hot, rng)
    known = np.arange(120)
    fleet = Fleet.fit(
        description.take(known), {name: values[known] for name, values in quantities.items()}, latencies[known, :-1]
    )
    return World(description, quantities, latencies, fleet, fleet.encode(description, quantities))
