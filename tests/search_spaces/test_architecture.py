from __future__ import annotations

import pickle

from search_spaces import Architecture


def test_key_is_a_fixed_digest() -> None:
    arch = Architecture("space", (0, 1, 2))
    assert arch.key == "b1c035a51b545077ee4d"
    assert arch.key != Architecture("space", (0, 12)).key
    assert arch.key != Architecture("other", (0, 1, 2)).key


def test_architectures_are_values() -> None:
    arch = Architecture("space", (0, 1))
    assert arch == Architecture("space", (0, 1))
    assert len({arch, Architecture("space", (0, 1))}) == 1
    assert pickle.loads(pickle.dumps(arch)) == arch  # noqa: S301 (our own bytes)
