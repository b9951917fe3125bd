"""The same networks measured twice, in two processes, on a quiet machine; then with others at work on every core."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import torch
from common import Claim, arguments, write_results
from profiling import RUNTIMES, Maker, campaign, target
from scipy.stats import spearmanr

from devices import Artifact, MeasureSettings
from nas.export.artifacts import Variant

SPACE = "mobilenetv3_32"
VARIANTS: tuple[Variant, ...] = (("onnx", "int8"), ("tflite", "int8"))
PIN = "import os, sys, time\nif hasattr(os, 'sched_setaffinity'): os.sched_setaffinity(0, {int(sys.argv[1])})\n"
HOG = PIN + "while True: pass"
NOW_AND_THEN = (
    PIN
    + """while True:
    end = time.monotonic() + 8
    while time.monotonic() < end: pass
    time.sleep(16)
"""
)
Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = arguments(__file__, __doc__ or "", parser)
    if options.extra.measure is not None:
        measure(options.extra.measure, options.out, quick=options.quick)
        return
    count = 6 if options.quick else 60
    load = {"load_before": round(os.getloadavg()[0], 2)} if hasattr(os, "getloadavg") else {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, count)
        found = {}
        for scene, hog in (("first", None), ("second", None), ("hogs", HOG), ("now and then", NOW_AND_THEN)):
            with hogs(hog):
                found[scene] = run(folder, scene, quick=options.quick)
            print_scene(scene, found[scene])
    rows = [row for scene, of_scene in found.items() for row in compare(scene, of_scene, found["first"])]
    write_results(options, rows, make_claims(rows, count), extra_environment=load)


def write(folder: Path, count: int) -> None:
    """Write the model files that all processes measure, and a list of them."""
    torch.set_num_threads(1)
    maker = Maker(SPACE, folder / "models")
    artifacts = maker.write(maker.networks(count), VARIANTS)
    listed = {key: [artifact.to_json() for artifact in of_one.values()] for key, of_one in artifacts.items()}
    (folder / "artifacts.json").write_text(json.dumps(listed))


def run(folder: Path, scene: str, *, quick: bool) -> dict[str, Row]:
    """Measure everything in a process of its own."""
    out = folder / f"{scene.replace(' ', '-')}.json"
    words = ["--measure", str(folder), "--out", str(out), *(["--quick"] if quick else [])]
    subprocess.run([sys.executable, __file__, *words], check=True)
    found: dict[str, Row] = json.loads(out.read_text())
    return found


def measure(folder: Path, out: Path, *, quick: bool) -> None:
    """What the process does: medians and flags by runtime and network."""
    listed = json.loads((folder / "artifacts.json").read_text())
    settings = MeasureSettings(min_time_s=0.2, max_time_s=0.6) if quick else MeasureSettings()
    found: dict[str, Row] = {}
    for variant in VARIANTS:
        with tempfile.TemporaryDirectory() as own:
            described = {key: map(Artifact.from_json, rows) for key, rows in listed.items()}
            artifacts = {key: {(a.format, a.precision): a for a in of_one} for key, of_one in described.items()}
            measured, _ = campaign(Path(own), target(variant, settings), artifacts)
        found[RUNTIMES[variant[0]]] = {
            "quality": measured.quality["device"],
            "networks": {
                key: {"median_s": m.corrected_s(), "raw_s": m.median_s, "flags": list(m.flags)}
                for (key, _), m in measured.measurements.items()
                if m.ok
            },
        }
    out.write_text(json.dumps(found))


@contextmanager
def hogs(program: str | None) -> Iterator[None]:
    """One busy process on every core that may be used, for the length of the block."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    running = [subprocess.Popen([sys.executable, "-c", program, str(core)]) for core in cores] if program else []
    try:
        if running:
            time.sleep(0.5)
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def compare(scene: str, found: dict[str, Row], first: dict[str, Row]) -> Iterator[Row]:
    """How a scene's figures agree with those of the first, by runtime."""
    for runtime, row in found.items():
        networks, others = row["networks"], first[runtime]["networks"]
        both = [key for key in networks if key in others]
        clean = [key for key in both if not networks[key]["flags"]]
        yield {
            "scene": scene,
            "runtime": runtime,
            "networks": len(networks),
            "flagged": sum(bool(n["flags"]) for n in networks.values()) / max(len(networks), 1),
            "spearman": rank(both, networks, others),
            "median_difference": difference(both, networks, others),
            "not_flagged": len(clean),
            "spearman_not_flagged": rank(clean, networks, others),
            "median_difference_not_flagged": difference(clean, networks, others),
            "quality": row["quality"],
        }


def rank(keys: list[str], found: Row, others: Row) -> float | None:
    if len(keys) < 3:
        return None
    return float(spearmanr([found[key]["median_s"] for key in keys], [others[key]["median_s"] for key in keys])[0])


def difference(keys: list[str], found: Row, others: Row) -> float | None:
    return median(abs(found[key]["median_s"] / others[key]["median_s"] - 1) for key in keys) if keys else None


def make_claims(rows: list[Row], count: int) -> list[Claim]:
    claims = []
    for row in rows:
        runtime = row["runtime"]
        if row["scene"] == "second":
            rho, apart = row["spearman"] or 0.0, 100 * (row["median_difference"] or 1.0)
            claims += [
                Claim(f"rank correlation of two processes, {runtime}", rho, "", 0.995, "higher", count),
                Claim(f"median difference of two processes, {runtime}", apart, "%", 2, "lower", count),
            ]
        elif row["scene"] == "hogs":
            name = f"flagged with a hog on every core, {runtime}"
            claims.append(Claim(name, 100 * row["flagged"], "%", 95, "higher", count))
        if row["scene"] in ("hogs", "now and then") and row["spearman_not_flagged"] is not None:
            name = f"rank correlation of the {row['not_flagged']} not flagged, {row['scene']}, {runtime}"
            claims.append(Claim(name, row["spearman_not_flagged"], "", 0.98, "higher", row["not_flagged"]))
    return claims


def print_scene(scene: str, found: dict[str, Row]) -> None:
    for runtime, row in found.items():
        flagged = sum(bool(network["flags"]) for network in row["networks"].values())
        print(f"{scene:<14}{runtime:<18}{len(row['networks'])} networks, {flagged} flagged: {row['quality']['flags']}")


if __name__ == "__main__":
    main()
