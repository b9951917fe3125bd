from __future__ import annotations

import pytest

from search_spaces import SpaceError
from search_spaces.proxylessnas import proxylessnas_32


def test_every_layer_needs_a_candidate() -> None:
    space = proxylessnas_32()
    with pytest.raises(SpaceError, match="has 21 layers; 2 candidates were given"):
        space.with_candidates(("k3_e3", "k3_e3"))
    with pytest.raises(SpaceError, match="'k9_e9' was given"):
        space.with_candidates(("k9_e9",) * 21)


def test_layers_know_what_they_read() -> None:
    layers = proxylessnas_32().layers
    assert [layer.in_channels for layer in layers[1:]] == [layer.out_channels for layer in layers[:-1]]
    assert layers[0].in_channels == 16
    assert not layers[0].keeps_shape
    assert layers[1].keeps_shape


def test_names_tell_the_settings_apart() -> None:
    assert proxylessnas_32().name == "proxylessnas_32"
    assert proxylessnas_32(width=0.5).name != proxylessnas_32(width=0.75).name
