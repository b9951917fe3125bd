"""Members of a space are the same network everywhere: on shared weights, cut out, and as files of every kind.

Cut-down spaces with one of everything: each kind of block, and operations that exclude each other at one place.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from devices import Format, get_device
from nas.export import STANDARD_VARIANTS, export_artifacts
from search_spaces import Architecture, Network, SearchSpace, get_space
from search_spaces.block_kinds import BLOCK_KINDS
from search_spaces.staged import StagedSpace
from supernet import StandaloneNetwork, Supernet, estimate_statistics

EVERY_KIND = {
    "classes": 5,
    "resolutions": [8, 12],
    "width_multipliers": [1.0],
    "stem": {"widths": [8, 16], "stride": 1, "activation": "relu"},
    "stages": [
        {"kinds": ["conv", "separable", "double_separable"], "widths": [8, 16], "kernels": [3, 5], "depths": [1, 2]},
        {
            "kinds": [
                "inverted_residual",
                "stacked_inverted_residual",
                "fused_inverted_residual",
                "basic",
                "bottleneck",
            ],
            "widths": [16, 24],
            "kernels": [3, 5, 7],
            "expansions": [1, 2],
            "depths": [1, 2],
            "stride": 2,
            "activation": "hard_swish",
            "squeeze_excite": True,
            "projection": True,
            "own_widths": True,
        },
    ],
    "head": {"expand": 32, "features": 40, "activation": "swish"},
}
SPACES: list[tuple[str, dict[str, Any]]] = [
    ("staged", EVERY_KIND),
    ("nasbench201", {"classes": 5, "resolution": 8, "channels": 4, "cells": 1}),
    ("mcunet_32", {"classes": 5, "resolutions": [8, 12], "widths": [0.3, 0.5]}),
    *(("spaceevo_32", {"classes": 5, "resolutions": [8, 12], "member": f"{kinds}-0120"}) for kinds in ("0123", "4565")),
]
DEVICES: dict[Format, str] = {"onnx": "onnxruntime_cpu", "tflite": "litert_cpu"}


def make_supernet(space: SearchSpace) -> Supernet:
    """Shared weights with nothing left at the values that hide mistakes, zeros and ones."""
    supernet = Supernet(space, seed=1)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in supernet.shared.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            is_small = any(mark in name for mark in ("|to_", "|norm", "|bias"))
            parameter.add_(noise, alpha=0.1 if is_small else 0.01)
    return supernet


def members(space: SearchSpace, count: int) -> list[Architecture]:
    rng = np.random.default_rng(2)
    return [space.smallest(), *(space.sample(rng) for _ in range(count))]


def images_of(network: Network, count: int) -> torch.Tensor:
    return torch.randn(count, *network.input.shape, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize(("name", "options"), SPACES)
def test_members_of_a_supernet_are_the_networks_that_are_cut_out(name: str, options: dict[str, Any]) -> None:
    space = get_space(name, options)
    supernet = make_supernet(space)
    for arch in members(space, 6):
        network = space.lower(arch)
        images = images_of(network, 4)
        statistics = estimate_statistics(supernet, network, [images])
        with torch.no_grad():
            expected = supernet(images, arch, statistics)
            torch.testing.assert_close(supernet.extract(arch, statistics)(images), expected, atol=1e-4, rtol=1e-4)


def test_every_kind_of_block_has_weights_of_its_own_and_all_its_kernels() -> None:
    supernet = Supernet(get_space("staged", EVERY_KIND))
    slots = supernet.shared.slots
    block = "stages.1.blocks.1"
    assert slots[f"{block}.inverted_residual.depthwise"].kernels == (7, 5, 3)
    assert slots[f"{block}.fused_inverted_residual.fused"].kernels == (7, 5, 3)
    assert slots[f"{block}.bottleneck.spatial"].kernels == (7, 5, 3)
    assert {f"{block}.stacked_inverted_residual.depthwise_{i}" for i in range(3)} <= set(slots)
    assert slots[f"{block}.bottleneck.shortcut"].weight_shape == (24, 24, 1, 1)


@pytest.mark.parametrize(("name", "options"), SPACES)
def test_files_of_members_equal_the_module(name: str, options: dict[str, Any], tmp_path: Path) -> None:
    space = get_space(name, options)
    supernet = make_supernet(space)
    devices = {kind: get_device(device) for kind, device in DEVICES.items()}
    reason = next((told for device in devices.values() if (told := device.unavailable_reason())), None)
    if reason:
        pytest.skip(reason)
    for arch in members(space, 1):
        network = space.lower(arch)
        images = images_of(network, 16)
        module: StandaloneNetwork = supernet.extract(arch, estimate_statistics(supernet, network, [images]))
        with torch.no_grad():
            expected = module(images[:4]).numpy()
        files = export_artifacts(network, module.deployed_weights(), tmp_path, images.numpy())
        for variant in STANDARD_VARIANTS:
            with devices[variant[0]].open(files[variant]) as model:
                found = np.concatenate([model.predict(image[None]) for image in images[:4].numpy()])
            if variant[1] == "float32":
                np.testing.assert_allclose(found, expected, atol=1e-4)
            else:
                # A hundred layers of random weights on maps of a few pixels: both runtimes err by about as much.
                assert np.mean((found - expected) ** 2) < 0.5 * np.mean(expected**2)


def test_the_cut_down_spaces_hold_every_kind_of_block() -> None:
    space = get_space("staged", EVERY_KIND)
    assert isinstance(space, StagedSpace)
    assert {kind for stage in space.settings.stages for kind in stage.kinds} == set(BLOCK_KINDS)
