"""An agent on another architecture, asked by this machine: an emulated aarch64 Debian, so its times are QEMU's.

What is shown is that the file runs there, computes the same, and is a device that ranks networks in its own way. How
fast an aarch64 processor is, it does not show.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from agent import DEVICES, make_artifacts, serving
from arm64_root import AGENT, SetupError, inside, make_root
from common import ROOT, Claim, arguments, write_results
from scipy.stats import spearmanr

from devices import Artifact, Device, DeviceInfo, MeasureSettings, get_device

NETWORKS, QUICK_NETWORKS, IMAGES, PASSES = 20, 4, 4, 2
TRIES = 3
"""On a busy machine an emulated worker may need longer to import its runtime than a worker is given."""
FOLDER = ROOT / "build" / "arm64" / "root"
# An emulated inference takes some tenths of a second: five show its median well enough to rank by.
SETTINGS = MeasureSettings(
    min_warmup_s=0.0, min_time_s=0.2, min_count=5, max_time_s=30.0, timeout_s=300.0, ci_width=None, thorough=False
)
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8", "OMP_NUM_THREADS": "1"}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", type=Path, default=FOLDER, help="the aarch64 Debian, made where it is missing")
    options = arguments(__file__, "An agent on an emulated aarch64 beside this machine", parser)
    torch.set_num_threads(1)
    try:
        root = make_root(options.extra.root.resolve())
    except SetupError as error:
        sys.exit(f"error: {error}")
    infos, rows = {}, []
    with tempfile.TemporaryDirectory() as name, emulated(root) as url:
        artifacts = make_artifacts(QUICK_NETWORKS if options.quick else NETWORKS, Path(name))
        for device, kind in DEVICES.items():
            infos[device], found = compare(device, url, artifacts[kind])
            rows += found
    machine = {"emulated": {device: info.to_json() for device, info in infos.items()}}
    write_results(options, rows, make_claims(rows), extra_environment=machine)


@contextmanager
def emulated(root: Path) -> Iterator[str]:
    """The url of an agent in the folder; the network is this machine's, so loopback reaches it."""
    with tempfile.TemporaryDirectory(dir=root / "tmp") as name:
        inner = Path("/") / Path(name).relative_to(root)
        command = ["python3", AGENT, "serve", "--port", "0", "--directory", str(inner)]
        with serving(inside(root, command), ENVIRONMENT) as url:
            yield url


def compare(name: str, url: str, artifacts: list[Artifact]) -> tuple[DeviceInfo, list[dict[str, Any]]]:
    """Who the emulated device is, and each file measured here and there, in two passes whose orders differ.

    So what drifts on a busy machine shows as passes that disagree, and not as devices that do.
    """
    here, there = get_device(name), get_device("remote", {"url": url, "device": name})
    rows: list[dict[str, Any]] = [
        {"device": name, "network": index, "here_ms": [], "emulated_ms": []} for index in range(len(artifacts))
    ]
    for visit in range(PASSES):
        for index in np.random.default_rng(visit).permutation(len(artifacts)):
            artifact, row = artifacts[index], rows[index]
            row["here_ms"].append(median_ms(here, artifact, visit))
            row["emulated_ms"].append(median_ms(there, artifact, visit))
            print(f"{name:16} {index:3} {row['here_ms'][-1]:8.3f} ms here {row['emulated_ms'][-1]:8.3f} ms", flush=True)
    for artifact, row in zip(artifacts, rows, strict=True):
        row["logits_difference"] = logits_difference(here, there, artifact)
    info = there.info()
    here.close()
    there.close()
    return info, rows


def median_ms(device: Device, artifact: Artifact, visit: int) -> float:
    """Median latency; the number of the visit keeps the agent from answering with what it knows already."""
    for _ in range(TRIES):
        made = device.measure(artifact, replace(SETTINGS, visit=visit))
        if made.ok:
            break
        print(made.error, flush=True)
    return 1e3 * made.median_s


def logits_difference(here: Device, there: Device, artifact: Artifact) -> float:
    """Largest difference of the two devices' logits, as a share of the largest logit."""
    images = np.random.default_rng(0).standard_normal((IMAGES, *artifact.input_shape), dtype=np.float32)
    with here.open(artifact) as mine, there.open(artifact) as theirs:
        wanted, found = mine.predict(images), theirs.predict(images)
    if not np.isfinite(found).all():
        return math.inf
    return float(np.abs(found - wanted).max() / max(np.abs(wanted).max(), np.finfo(np.float32).tiny))


def make_claims(rows: list[dict[str, Any]]) -> list[Claim]:
    claims = []
    for device in DEVICES:
        mine = [row for row in rows if row["device"] == device]
        here, there = (np.array([row[key] for row in mine]) for key in ("here_ms", "emulated_ms"))
        again = min(spearmanr(times[:, 0], times[:, 1]).statistic for times in (here, there))
        claims.append(
            Claim(
                f"{device}: rank correlation of an emulated aarch64 with this machine, {len(mine)} networks "
                "(asked: less than of the two passes of either)",
                float(spearmanr(here.min(axis=1), there.min(axis=1)).statistic),
                unit="Spearman",
                target=float(again),
                better="lower",
            )
        )
    worst = max(row["logits_difference"] for row in rows)
    name = "largest difference of logits computed on an emulated aarch64"
    claims.append(Claim(name, worst, unit="of the largest", target=0.1, better="lower"))
    return claims


if __name__ == "__main__":
    main()
