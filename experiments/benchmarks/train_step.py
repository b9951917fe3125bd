"""One training step of a supernet: its four sub-networks against the same four networks with weights of their own.

All variants take turns in one process, and ratios are medians over the rounds. Peak memory is taken in a process each.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from common import Claim, arguments, write_results
from torch import Tensor, nn

from search_spaces import Network, SearchSpace, get_space, macs
from supernet import StandaloneNetwork, Supernet, native
from supernet.allocator import memory_kept
from supernet.depthwise import depthwise_conv

Step = Callable[[], None]
RATE = 1e-3


@dataclass(frozen=True)
class Scene:
    """What one step is taken on."""

    name: str
    space: SearchSpace
    networks: tuple[Network, ...]
    batch: int
    threads: int

    @property
    def images(self) -> Tensor:
        """Random inputs at the largest network's resolution, float32, channels first."""
        generator = torch.Generator().manual_seed(0)
        return torch.randn(self.batch, *self.networks[0].input.shape, generator=generator)

    @property
    def labels(self) -> Tensor:
        """Random classes."""
        return torch.randint(10, (self.batch,), generator=torch.Generator().manual_seed(1))


def sandwich_scene(batch: int, threads: int) -> Scene:
    """The largest, the smallest and two random networks of the 32-px space, all at 32 px."""
    space = get_space("mobilenetv3_32", {"resolutions": [32]})
    rng = np.random.default_rng(0)
    archs = [space.largest(), space.smallest(), space.sample(rng), space.sample(rng)]
    return Scene("sandwich, 32 px", space, tuple(map(space.lower, archs)), batch, threads)


def once_for_all_scene(resolution: int, batch: int) -> Scene:
    """Four random networks of once-for-all's own space, as its step figures were taken, on one thread."""
    space = get_space("mobilenetv3", {"classes": 10, "resolutions": [resolution], "widths": [1.0]})
    rng = np.random.default_rng(0)
    networks = tuple(space.lower(space.sample(rng)) for _ in range(4))
    return Scene(f"once-for-all, {resolution} px", space, networks, batch, threads=1)


def elastic_step(scene: Scene, dtype: torch.dtype, *, channels_last: bool = True) -> Step:
    """The project's step: every sub-network on slices of the shared weights, one optimiser."""
    supernet = Supernet(scene.space, seed=0)
    optimiser = torch.optim.SGD(supernet.parameters(), RATE, 0.9, nesterov=True)
    inputs, labels = _inputs(scene, dtype, channels_last=channels_last), scene.labels

    def step() -> None:
        for network in scene.networks:
            torch.autograd.backward(F.cross_entropy(supernet(inputs, network), labels))
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)

    return step


def static_step(scene: Scene, dtype: torch.dtype, *, stock: bool = False) -> Step:
    """The same networks as plain modules, an optimiser each.

    Args:
        scene: networks and images.
        dtype: what is computed in.
        stock: PyTorch's own layers, with bfloat16 under its autocast; otherwise layers cast their weights once a use,
            and norms and depthwise layers compute with the supernet's kernels, as in the elastic step.
    """
    modules = [_plain_module(network, stock=stock) for network in scene.networks]
    optimisers = [torch.optim.SGD(module.parameters(), RATE, 0.9, nesterov=True) for module in modules]
    inputs, labels = _inputs(scene, dtype, channels_last=True), scene.labels

    def step() -> None:
        for module, optimiser in zip(modules, optimisers, strict=True):
            with torch.autocast("cpu", torch.bfloat16, enabled=stock and dtype == torch.bfloat16):
                logits = module(inputs)
            torch.autograd.backward(F.cross_entropy(logits.float(), labels))
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)

    return step


class _CastingConv(nn.Conv2d):
    def forward(self, input: Tensor) -> Tensor:
        bias = None if self.bias is None else self.bias.to(input.dtype)
        return self._conv_forward(input, self.weight.to(input.dtype), bias)


class _CastingLinear(nn.Linear):
    def forward(self, input: Tensor) -> Tensor:
        bias = None if self.bias is None else self.bias.to(input.dtype)
        return F.linear(input, self.weight.to(input.dtype), bias)


class _QuickDepthwise(nn.Conv2d):
    def forward(self, input: Tensor) -> Tensor:
        return depthwise_conv(input, self.weight.to(input.dtype), self.stride[0])


class _QuickNorm(nn.BatchNorm2d):
    def forward(self, input: Tensor) -> Tensor:
        found = native.batch_norm(input, self.weight, self.bias, self.eps, None)
        return found[0] if found else super().forward(input)


def _plain_module(network: Network, *, stock: bool) -> StandaloneNetwork:
    module = StandaloneNetwork(network).train()
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.track_running_stats, layer.running_mean, layer.running_var = False, None, None
            if not stock:
                layer.__class__ = _QuickNorm
        if not stock and isinstance(layer, nn.Conv2d):
            layer.__class__ = _QuickDepthwise if layer.groups > 1 and layer.bias is None else _CastingConv
        if not stock and isinstance(layer, nn.Linear):
            layer.__class__ = _CastingLinear
    return module.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _inputs(scene: Scene, dtype: torch.dtype, *, channels_last: bool) -> Tensor:
    form = torch.channels_last if channels_last else torch.contiguous_format
    return scene.images.to(dtype).contiguous(memory_format=form)


def variants(scene: Scene) -> dict[str, Callable[[], Step]]:
    """How a step can be taken, by name."""
    return {
        "elastic bfloat16": lambda: elastic_step(scene, torch.bfloat16),
        "elastic float32": lambda: elastic_step(scene, torch.float32),
        "elastic float32 NCHW": lambda: elastic_step(scene, torch.float32, channels_last=False),
        "static bfloat16": lambda: static_step(scene, torch.bfloat16),
        "static float32": lambda: static_step(scene, torch.float32),
        "static bfloat16, stock": lambda: static_step(scene, torch.bfloat16, stock=True),
        "static float32, stock": lambda: static_step(scene, torch.float32, stock=True),
    }


def interleaved(scene: Scene, names: list[str], rounds: int) -> dict[str, list[float]]:
    """Seconds of every step of every variant, the variants in turn."""
    torch.set_num_threads(scene.threads)
    steps = {name: variants(scene)[name]() for name in names}
    seconds: dict[str, list[float]] = {name: [] for name in names}
    with memory_kept():
        for step in steps.values():
            step()
        for number in range(rounds):
            # Turned round every time, so that nobody always follows the same neighbour.
            for name in names if number % 2 == 0 else names[::-1]:
                started = time.perf_counter()
                steps[name]()
                seconds[name].append(time.perf_counter() - started)
    return seconds


def ratio(seconds: Mapping[str, list[float]], name: str, base: str) -> tuple[float, float]:
    """Median and standard deviation over the rounds of one variant's time over another's of the same round."""
    ratios = [a / b for a, b in zip(seconds[name], seconds[base], strict=True)]
    return statistics.median(ratios), statistics.stdev(ratios)


def peak_megabytes(scene_name: str, variant: str) -> float:
    """Peak resident memory of a process that takes three steps of one variant, MB."""
    words = [sys.executable, __file__, "--memory", json.dumps([scene_name, variant])]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def _print_peak(scenes: Mapping[str, Scene], scene_name: str, variant: str) -> None:
    scene = scenes[scene_name]
    torch.set_num_threads(scene.threads)
    step = variants(scene)[variant]()
    with memory_kept():
        for _ in range(3):
            step()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def gpu_rows(scene: Scene, rounds: int) -> list[dict[str, object]]:
    """Images a second of the elastic step on a GPU, and how busy it was; nothing where there is none."""
    if not torch.cuda.is_available():
        return []
    supernet = Supernet(scene.space, seed=0).cuda()
    optimiser = torch.optim.SGD(supernet.parameters(), RATE, 0.9, nesterov=True)
    rows: list[dict[str, object]] = []
    for dtype in (torch.float32, torch.bfloat16):
        inputs, labels = _inputs(scene, dtype, channels_last=True).cuda(), scene.labels.cuda()
        started, busy = 0.0, []
        for number in range(rounds + 5):
            if number == 5:
                torch.cuda.synchronize()
                started = time.perf_counter()
            for network in scene.networks:
                torch.autograd.backward(F.cross_entropy(supernet(inputs, network), labels))
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            busy.append(torch.cuda.utilization())
        torch.cuda.synchronize()
        speed = rounds * scene.batch / (time.perf_counter() - started)
        name = f"elastic {str(dtype).removeprefix('torch.')}, {torch.cuda.get_device_name()}"
        rows.append({"scene": scene.name, "variant": name, "images_per_s": speed, "busy": statistics.mean(busy)})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--memory", type=json.loads, help=argparse.SUPPRESS)
    options = arguments(__file__, __doc__ or "", parser)
    threads = torch.get_num_threads()
    small = options.quick
    all_scenes = (
        sandwich_scene(16 if small else 128, threads),
        once_for_all_scene(32, 8 if small else 64),
        once_for_all_scene(128, 2 if small else 16),
    )
    scenes = {scene.name: scene for scene in all_scenes}
    if options.extra.memory:
        return _print_peak(scenes, *options.extra.memory)

    rounds = 3 if small else 15
    rows: list[dict[str, object]] = []
    timed: dict[str, dict[str, list[float]]] = {}
    for scene in all_scenes[:1] if small else all_scenes:
        names = list(variants(scene))
        timed[scene.name] = seconds = interleaved(scene, names, rounds)
        for name in names:
            median = statistics.median(seconds[name])
            row = {
                "scene": scene.name,
                "variant": name,
                "threads": scene.threads,
                "batch": scene.batch,
                "macs_per_image": sum(map(macs, scene.networks)),
                "median_s": median,
                "images_per_s": scene.batch / median,
                "peak_mb": peak_megabytes(scene.name, name),
            }
            rows.append(row)
            speed, memory = row["images_per_s"], row["peak_mb"]
            print(f"{scene.name:22} {name:36} {median:7.3f} s {speed:6.0f} images/s {memory:6.0f} MB")
    rows += gpu_rows(all_scenes[0], rounds)
    write_results(options, rows, claims(timed, rounds))
    return None


def claims(timed: Mapping[str, Mapping[str, list[float]]], rounds: int) -> list[Claim]:
    """Every figure asked for that these times answer."""
    made = []
    for scene, seconds in timed.items():
        for dtype in ("bfloat16", "float32"):
            for base in (f"static {dtype}", f"static {dtype}, stock"):
                value, spread = ratio(seconds, f"elastic {dtype}", base)
                name = f"elastic step over the same networks, {base}, {scene}"
                made.append(Claim(name, value, "", 1.05, "lower", rounds, spread))
        if scene == "once-for-all, 32 px":
            fastest = min(("elastic float32", "elastic bfloat16"), key=lambda name: statistics.median(seconds[name]))
            value, spread = ratio(seconds, "elastic float32 NCHW", fastest)
            name = f"speed-up of {fastest} over float32 NCHW on one thread, {scene}"
            made.append(Claim(name, value, "times", 1.5, "higher", rounds, spread))
    return made


if __name__ == "__main__":
    main()
