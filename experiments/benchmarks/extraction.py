"""Extracted modules against the supernet, and counted cost against what the modules hold and do."""

from __future__ import annotations

import numpy as np
import torch
from common import Claim, arguments, write_results
from torch import nn

from search_spaces import get_space, macs, parameters
from supernet import StandaloneNetwork, Supernet, estimate_statistics
from supernet.data import resize

BATCH = 8


def counted_macs(module: StandaloneNetwork, x: torch.Tensor) -> int:
    """Multiply-accumulates of one image, from the outputs that the layers really make."""
    counts: list[int] = []

    def count(layer: nn.Module, _inputs: object, output: torch.Tensor) -> None:
        counts.append(output[0].numel() * layer.weight[0].numel())  # type: ignore[operator, index]

    hooks = [m.register_forward_hook(count) for m in module.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    with torch.no_grad():
        module(x[:1])
    for hook in hooks:
        hook.remove()
    return sum(counts)


def compare(name: str, size: int, count: int) -> dict[str, object]:
    """Largest difference of outputs, and how many counts differ, over ``count`` random architectures of a space."""
    space = get_space(name)
    supernet = Supernet(space, seed=0)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        # Away from the initial identity transforms and unit norms, so that a mix-up would show.
        for parameter in supernet.parameters():
            parameter.add_(0.02 * torch.randn(parameter.shape, generator=generator))
    images = torch.randn(BATCH, 3, size, size, generator=generator)
    rng = np.random.default_rng(0)
    worst, smallest_output, wrong_macs, wrong_parameters = 0.0, float("inf"), 0, 0
    for arch in space.architectures(space.sample_indices(rng, count)):
        network = space.lower(arch)
        statistics = estimate_statistics(supernet, network, [images])
        module = supernet.extract(network, statistics)
        x = resize(images, network.input.shape[-1])
        with torch.no_grad():
            expected = supernet(images, arch, statistics)
            worst = float(np.maximum(worst, (module(x) - expected).abs().max().item()))
        smallest_output = min(smallest_output, expected.abs().max().item())
        wrong_macs += counted_macs(module, x) != macs(network)
        wrong_parameters += sum(p.numel() for p in module.parameters()) != parameters(network)
    return {
        "space": name,
        "architectures": count,
        "largest_difference": worst,
        "smallest_largest_output": smallest_output,
        "wrong_macs": wrong_macs,
        "wrong_parameters": wrong_parameters,
    }


def main() -> None:
    options = arguments(__file__, __doc__ or "")
    rows = [
        compare("mobilenetv3_32", 32, 20 if options.quick else 200),
        compare("mobilenetv3", 128, 2 if options.quick else 20),
    ]
    claims = []
    for row in rows:
        print(row)
        over = f"over {row['architectures']} random architectures of {row['space']}"
        claims += [
            Claim(f"extract(a)(x) against forward(x, a), {over}", row["largest_difference"], "", 1e-5, "lower"),
            Claim(f"MACs unlike those of the extracted module, {over}", row["wrong_macs"], "networks", 0, "lower"),
            Claim(f"parameters unlike the extracted module's, {over}", row["wrong_parameters"], "networks", 0, "lower"),
        ]
    write_results(options, rows, claims)


if __name__ == "__main__":
    main()
