from __future__ import annotations

from search_spaces import hand_made_networks, macs


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
