from __future__ import annotations

import pytest

from search_spaces import SpaceError, hand_made_networks, macs


def test_hand_made_networks_at_32_px() -> None:
    counts = {}
    for name, (space, arch) in hand_made_networks(classes=7).items():
        network = space.lower(arch)
        assert network.input.shape == (3, 32, 32)
        assert network.output.shape == (7,)
        counts[name] = macs(network)
    v2 = [counts[f"mobilenetv2_{width}"] for width in (0.35, 0.5, 0.75, 1.0, 1.4)]
    assert v2 == sorted(v2)
    assert counts["mobilenetv3_small"] < counts["mobilenetv3_large"]
    assert len(counts) == 7


def test_the_family_of_mobilenetv3_comes_at_any_of_its_widths() -> None:
    networks = hand_made_networks(mobilenetv3_widths=(0.5, 1.0))
    names = ["mobilenetv3_small_0.5", "mobilenetv3_small", "mobilenetv3_large_0.5", "mobilenetv3_large"]
    assert [name for name in networks if name.startswith("mobilenetv3")] == names
    small, half = (networks[name][0].lower(networks[name][1]) for name in names[1::-1])
    assert macs(half) < macs(small)
    with pytest.raises(SpaceError, match="width"):
        hand_made_networks(mobilenetv3_widths=(0.6,))
