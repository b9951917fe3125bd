from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from search_spaces import Network, get_space, node_macs
from search_spaces.network import Conv


class Measured(NamedTuple):
    networks: list[Network]
    latencies_s: NDArray[np.float64]


def device_latency(network: Network) -> float:
    """A made-up device: launches cost time, pointwise work is cheap, and 7×7 depthwise kernels are slow."""
    seconds = 20e-6
    for node in network.nodes[1:]:
        macs = node_macs(network, node)
        slow = isinstance(node.op, Conv) and node.op.depthwise and node.op.kernel == 7
        depthwise = isinstance(node.op, Conv) and node.op.depthwise
        seconds += 1e-6 + macs * (6e-10 if slow else 1e-10 if depthwise else 2e-11)
    return seconds


def measured_networks(count: int, seed: int, noise: float = 0.02) -> Measured:
    rng = np.random.default_rng(seed)
    space = get_space("mobilenetv3_32")
    networks = [space.lower(space.sample(rng)) for _ in range(count)]
    exact = np.array([device_latency(network) for network in networks])
    return Measured(networks, exact * rng.lognormal(0, noise, count))


@pytest.fixture(scope="session")
def measured() -> Measured:
    """Forty networks to learn from."""
    return measured_networks(40, seed=0)


@pytest.fixture(scope="session")
def unseen() -> Measured:
    """Sixty others to be judged on."""
    return measured_networks(60, seed=1)
