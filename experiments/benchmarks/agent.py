"""Does the bundled agent, with only numpy and the runtimes beside it, measure what this machine's devices measure?"""

from __future__ import annotations

import importlib.util
import math
import os
import signal
import subprocess
import tempfile
import time
import venv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from common import Claim, arguments, write_results

from devices import Artifact, Device, DeviceError, MeasureSettings, RemoteDevice, get_device
from devices.agent.bundle import write_bundle
from nas.export import export_artifacts
from search_spaces import get_space
from supernet import StandaloneNetwork

NETWORKS, QUICK_NETWORKS, MOST_DIFFERENCE = 20, 3, 0.02
DEVICES = {"onnxruntime_cpu": ("onnx", "int8"), "litert_cpu": ("tflite", "int8")}
PACKAGES = ("numpy", "onnxruntime", "ai_edge_litert", "flatbuffers")
SETTINGS = MeasureSettings(min_warmup_s=0.1, min_time_s=0.3, min_count=50)


def main() -> None:
    options = arguments(__file__, "The bundled agent beside the same devices in this process")
    torch.set_num_threads(1)
    count = QUICK_NETWORKS if options.quick else NETWORKS
    with tempfile.TemporaryDirectory() as name:
        artifacts = make_artifacts(count, Path(name) / "files")
        with served(Path(name)) as url:
            rows = [row for device, kind in DEVICES.items() for row in compare(device, url, artifacts[kind])]
    print_table(rows)
    write_results(options, rows, make_claims(rows))


def make_artifacts(count: int, folder: Path) -> dict[Any, list[Artifact]]:
    """INT8 files of random networks with random weights, by kind of file."""
    space, rng = get_space("mobilenetv3_32"), np.random.default_rng(0)
    made: dict[Any, list[Artifact]] = {kind: [] for kind in DEVICES.values()}
    for index in range(count):
        network = space.lower(space.sample(rng))
        torch.manual_seed(index)
        weights = StandaloneNetwork(network).eval().deployed_weights()
        images = rng.standard_normal((8, *network.input.shape), dtype=np.float32)
        files = export_artifacts(network, weights, folder / str(index), images, tuple(DEVICES.values()))
        for kind, artifact in files.items():
            made[kind].append(artifact)
    return made


@contextmanager
def served(place: Path) -> Iterator[str]:
    """The url of a bundled agent, run by an interpreter that finds nothing but numpy and the runtimes."""
    write_bundle(place / "agent.pyz")
    venv.create(place / "venv", symlinks=True)
    (packages,) = (place / "venv").glob("lib/python*/site-packages")
    for name in PACKAGES:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            raise DeviceError(f"{name} is missing; install the project with `make setup`")
        home = Path(spec.origin).parent
        for part in (home, home.with_name(f"{name}.libs")):
            if part.is_dir():
                (packages / part.name).symlink_to(part)
    command = [place / "venv" / "bin" / "python", "-I", place / "agent.pyz", "serve", "--port", "0"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    with serving([*command, "--directory", place / "agent"], environment) as url:
        yield url


@contextmanager
def serving(command: Sequence[str | Path], environment: Mapping[str, str]) -> Iterator[str]:
    """The url of the agent that a command starts."""
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = []
        while not said or (said[-1] and not said[-1].startswith(("serving", "error"))):
            said.append(process.stderr.readline())
        assert said[-1].startswith("serving"), said
        # Whoever does not read what a process writes stops it when the pipe is full.
        with subprocess.Popen(["cat"], stdin=process.stderr, stdout=subprocess.DEVNULL):
            try:
                yield said[-1].split(" at ")[1].split(";")[0]
            finally:
                process.send_signal(signal.SIGTERM)


def compare(name: str, url: str, artifacts: list[Artifact]) -> list[dict[str, Any]]:
    """Each file measured here, by the agent, by the agent and here again."""
    here, there = get_device(name), RemoteDevice(url=url, device=name)
    measure(here, artifacts[0]), measure(there, artifacts[0])  # runtimes are loaded by then
    rows = []
    for index, artifact in enumerate(artifacts):
        first, second, third, fourth = [measure(device, artifact) for device in (here, there, there, here)]
        rows.append(
            {
                "device": name,
                "network": index,
                "here_ms": 500 * (first[0] + fourth[0]),
                "agent_ms": 500 * (second[0] + third[0]),
                "difference": abs(math.log((second[0] + third[0]) / (first[0] + fourth[0]))),
                "difference_here": abs(math.log(fourth[0] / first[0])),
                "extra_s": min(second[1], third[1]) - min(first[1], fourth[1]),
            }
        )
    here.close()
    there.close()
    return rows


def measure(device: Device, artifact: Artifact) -> tuple[float, float]:
    """Median latency, and how long it took to get it; both in seconds."""
    began = time.perf_counter()
    made = device.measure(artifact, SETTINGS)
    return made.median_s, time.perf_counter() - began


def print_table(rows: list[dict[str, Any]]) -> None:
    print(f"{'device':16} {'network':>7} {'here':>10} {'agent':>10} {'difference':>10} {'here again':>10} {'extra':>8}")
    for row in rows:
        print(
            f"{row['device']:16} {row['network']:7} {row['here_ms']:7.3f} ms {row['agent_ms']:7.3f} ms "
            f"{row['difference']:10.1%} {row['difference_here']:10.1%} {row['extra_s']:6.2f} s"
        )


def make_claims(rows: list[dict[str, Any]]) -> list[Claim]:
    claims = []
    for device in DEVICES:
        mine = [row for row in rows if row["device"] == device]
        claims.append(
            Claim(
                f"{device}: median difference of the agent's latency from this machine's own, {len(mine)} networks",
                median(row["difference"] for row in mine),
                unit="share",
                target=MOST_DIFFERENCE,
                better="lower",
            )
        )
    extra = median(row["extra_s"] for row in rows)
    claims.append(Claim("time that the agent adds to a measurement", extra, unit="s", target=0.1, better="lower"))
    return claims


if __name__ == "__main__":
    main()
