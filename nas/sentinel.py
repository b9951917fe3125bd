"""The sentinel: one small fixed network, measured again and again to see whether its device stays the same."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from devices import Artifact
from nas.export import export_artifacts
from nas.export.artifacts import Variant
from search_spaces import Network, NetworkBuilder
from search_spaces.network import Conv, Linear

_IMAGES = 16


def sentinel_network() -> Network:
    """A network of 8 million multiply-accumulates on 64 × 64 pixels, with every kind of layer that takes time.

    It must never change: measurements of many days are compared by it.
    """
    builder = NetworkBuilder((3, 64, 64))
    x = builder.activation("stem.act", builder.conv("stem", builder.input, 16, 3, stride=2), "relu")
    for number, (channels, stride) in enumerate(((24, 2), (24, 1), (48, 2), (48, 1), (96, 2), (96, 1))):
        with builder.block(f"blocks.{number}"):
            source, inner = x, 4 * builder.shape(x)[0]
            x = builder.activation("expand.act", builder.conv("expand", x, inner), "relu")
            x = builder.activation("depthwise.act", builder.depthwise("depthwise", x, 3, stride=stride), "relu")
            x = builder.conv("project", x, channels)
            if builder.shape(x) == builder.shape(source):
                x = builder.add("add", x, source)
    builder.linear("classifier", builder.flatten("flat", builder.global_pool("pool", x)), 10)
    return builder.build()


def sentinel_weights(network: Network) -> dict[str, NDArray[np.float32]]:
    """Its weights, the same everywhere: random, and such that feature maps keep their size from layer to layer."""
    rng, weights = np.random.default_rng(0), {}
    for node in network.nodes:
        match node.op:
            case Conv() as conv:
                shape: tuple[int, ...] = (conv.out_channels, conv.in_channels // conv.groups, conv.kernel, conv.kernel)
            case Linear() as linear:
                shape = (linear.out_features, linear.in_features)
            case _:
                continue
        fan_in = int(np.prod(shape[1:]))
        weights[f"{node.name}.weight"] = rng.standard_normal(shape, np.float32) * np.float32((2 / fan_in) ** 0.5)
        weights[f"{node.name}.bias"] = 0.1 * rng.standard_normal(shape[0], np.float32)
    return weights


def write_sentinel(directory: Path, variants: Sequence[Variant]) -> dict[Variant, Artifact]:
    """Write the sentinel's model files; the same bytes each time on one kind of processor.

    Args:
        directory: where to; made if missing.
        variants: kinds of files.
    """
    network = sentinel_network()
    images = np.random.default_rng(1).standard_normal((_IMAGES, *network.input.shape), np.float32)
    return export_artifacts(network, sentinel_weights(network), directory, images, variants)
