from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from nas.export import ExportError
from nas.export.network_file import read_network, write_network
from search_spaces import get_space
from supernet import random_network


@pytest.mark.parametrize("name", ["mobilenetv3_32", "efficientformer_32"])
def test_what_was_written_is_read(name: str, tmp_path: Path) -> None:
    space = get_space(name)
    network = space.lower(space.smallest())
    weights = random_network(network, 0).deployed_weights()
    write_network(network, weights, tmp_path / "a")
    write_network(network, dict(reversed(weights.items())), tmp_path / "b")
    content = (tmp_path / "a").read_bytes()
    assert content == (tmp_path / "b").read_bytes()
    found, arrays = read_network(content)
    assert found.input == network.input and found.output == network.output
    # Scales are folded into the layers before them.
    assert {node.name for node in network.nodes} - {node.name for node in found.nodes} == network.folded_scales
    changed = {network.by_name[name].inputs[0] for name in network.folded_scales}
    for key, array in arrays.items():
        if key.rpartition(".")[0] not in changed:
            np.testing.assert_array_equal(array, weights[key])


def test_weights_that_do_not_fit_are_refused(tiny_model: Any, tmp_path: Path) -> None:
    network, weights = tiny_model
    with pytest.raises(ExportError, match=r"there is no 'input.conv.weight'"):
        write_network(network, {}, tmp_path / "model")
    assert not list(tmp_path.iterdir())
    write_network(network, weights, tmp_path / "model")
    content = (tmp_path / "model").read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    damaged = content[:start] + np.full(1, np.nan, np.float32).tobytes() + content[start + 4 :]
    with pytest.raises(ExportError, match="not finite"):
        read_network(damaged)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"this is no model" * 10,
        save({"a": np.zeros(1, np.float32)}),
        save({}, {"hwnas.network": "[]"}),
        save({}, {"hwnas.network": '{"version": 1, "nodes": [3]}'}),
    ],
)
def test_something_else_is_refused(content: bytes) -> None:
    with pytest.raises(ExportError, match=r"no network file|not a network"):
        read_network(content)


def test_a_file_of_another_version_is_refused() -> None:
    with pytest.raises(ExportError, match="version 2, not 1; export it again"):
        read_network(save({}, {"hwnas.network": '{"version": 2}'}))
