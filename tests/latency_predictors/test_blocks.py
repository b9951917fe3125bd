from __future__ import annotations

import os
import subprocess
import sys

import numpy as np

from latency_predictors import block_keys, feature_matrix
from latency_predictors.blocks import block_sums
from latency_predictors.features import SUM_NAMES
from search_spaces import Network, NetworkBuilder, get_space


def test_equal_blocks_share_a_key_wherever_they_stand() -> None:
    space = get_space("mobilenetv3_32")
    network = space.lower(space.largest())
    key = dict(zip(network.blocks, block_keys(network), strict=True))
    assert key["stages.0.blocks.1"] == key["stages.0.blocks.2"]
    assert key["stages.0.blocks.0"] != key["stages.0.blocks.1"]
    assert key["stages.0.blocks.1"] != key["stages.1.blocks.1"]


def two_convolutions(*, swap: bool) -> Network:
    builder = NetworkBuilder((4, 8, 8))
    with builder.block("block"):
        first = builder.conv("first", builder.input, 4)
        second = builder.conv("second", first, 4)
        builder.add("sum", second, builder.input if swap else first)
    return builder.build()


def test_keys_tell_the_wiring() -> None:
    assert block_keys(two_convolutions(swap=True)) != block_keys(two_convolutions(swap=False))


def test_keys_are_the_same_in_another_process() -> None:
    space = get_space("mobilenetv3_32")
    script = (
        "import sys; from search_spaces import get_space; from latency_predictors import block_keys\n"
        "space = get_space('mobilenetv3_32'); sys.stdout.write(' '.join(block_keys(space.lower(space.smallest()))))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.split() == block_keys(space.lower(space.smallest()))


def test_blocks_add_up_to_the_network() -> None:
    space = get_space("mobilenetv3")
    rng = np.random.default_rng(0)
    for _ in range(5):
        network = space.lower(space.sample(rng))
        total = np.sum([sums for _, sums in block_sums(network)], axis=0)
        whole = feature_matrix([network])[0, : len(SUM_NAMES)]
        for name, blocks, expected in zip(SUM_NAMES, total, whole, strict=True):
            assert blocks == (0 if name.startswith("level_") else expected), name
