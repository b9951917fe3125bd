from __future__ import annotations

import torch

from search_spaces import SearchSpace, get_space
from search_spaces.network import Conv
from supernet import Supernet
from supernet.parameters import plan_slots


def test_slots_hold_the_largest_size_and_every_kernel() -> None:
    space = get_space("mobilenetv3_32")
    slots = plan_slots(space.lower(arch) for arch in space.covering())
    slot = slots["stages.1.blocks.1.depthwise"]
    assert slot.kernels == (7, 5, 3)
    largest = space.lower(space.largest()).by_name["stages.1.blocks.1.depthwise"].op
    assert isinstance(largest, Conv)
    assert slot.weight_shape == (largest.out_channels, 1, 7, 7)


def test_a_smaller_kernel_starts_as_the_centre_of_the_larger_one() -> None:
    space = get_space("mobilenetv3_32")
    shared = Supernet(space).shared
    name = "stages.0.blocks.0.depthwise"
    full = shared.get(name, "weight")
    for kernel in (3, 5):
        edge = (7 - kernel) // 2
        op = Conv(16, 16, kernel, groups=16)
        centre = full[:16, :, edge : edge + kernel, edge : edge + kernel]
        torch.testing.assert_close(shared.conv_weight(name, op), centre)


def test_transforms_are_applied_one_after_another() -> None:
    space = get_space("mobilenetv3_32")
    shared = Supernet(space).shared
    name = "stages.0.blocks.0.depthwise"
    with torch.no_grad():
        for kind in ("to_5", "to_3"):
            shared.get(name, kind).normal_(generator=torch.Generator().manual_seed(0))
    weight = shared.get(name, "weight")[:8]
    five = (weight[:, :, 1:6, 1:6].reshape(8, 25) @ shared.get(name, "to_5").T).view(8, 1, 5, 5)
    three = (five[:, :, 1:4, 1:4].reshape(8, 9) @ shared.get(name, "to_3").T).view(8, 1, 3, 3)
    torch.testing.assert_close(shared.conv_weight(name, Conv(8, 8, 3, groups=8)), three)


def test_weight_decay_spares_norms_biases_and_transforms(tiny_space: SearchSpace) -> None:
    shared = Supernet(tiny_space).shared
    decayed = {name for name, _ in shared.named_parameters() if shared.is_decayed(name)}
    assert decayed == {name for name, _ in shared.named_parameters() if name.endswith("|weight")}
    assert any("|to_3" in name for name, _ in shared.named_parameters())
