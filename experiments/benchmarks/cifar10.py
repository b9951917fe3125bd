"""CIFAR-10 from images to measured networks: accuracy and latency of the ends of the front, INT8 beside float32.

Runs `nas run experiments/configs/cifar10.yaml`, or goes on with a given run directory, and sums up what that left.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from common import ROOT, Claim, arguments, write_results

CONFIG = ROOT / "experiments" / "configs" / "cifar10.yaml"
NAS = [sys.executable, "-c", "from nas.cli import main; main()"]
QUICK = (
    "data.limit=1000",
    "train.epochs=1",
    "profile.networks=8",
    "predictor.min_spearman=-1",
    "predictor.folds=2",
    "search.evaluations=8",
    "search.batch=8",
    "search.options={population: 8}",
    "limits=[]",
    "confirm.members=3",
)
KEPT = ("training-*.png", "front-*.png")


def default_data() -> Path:
    """Where the archive is looked for."""
    return Path(os.environ.get("HWNAS_DATA", ROOT.parent / "shared" / "data")) / "cifar10" / "train.tar.gz"


def run(data: Path, run_dir: Path, overrides: tuple[str, ...]) -> None:
    """The whole pipeline, as a user would run it."""
    sets = [word for override in overrides for word in ("--set", override)]
    subprocess.run([*NAS, "run", str(CONFIG), "--data", str(data), "--run-dir", str(run_dir), *sets], check=True)


def members(run_dir: Path) -> list[dict[str, Any]]:
    """What the cards of the exported networks say, one row each, fewest MACs first."""
    rows = []
    for path in run_dir.glob("export/*/card.json"):
        card = json.loads(path.read_text())
        rows.append(
            {
                "name": card["name"],
                "options": card["options"],
                "macs": card["macs"],
                "parameters": card["parameters"],
                "test_accuracy": {name: row["value"] for name, row in card["accuracy"].items()},
                "test_images": next(iter(card["accuracy"].values()))["images"],
                "bytes": {name: row["bytes"] for name, row in card["files"].items()},
                "latency_ms": {
                    target: {
                        "median": 1e3 * row["median_s"],
                        "p90": 1e3 * row["p90_s"],
                        "source": row["source"],
                        "drift": row.get("drift"),
                        "flags": row.get("flags", []),
                    }
                    for target, row in card["latency"].items()
                },
            }
        )
    return sorted(rows, key=lambda row: row["macs"])


def claims_of(rows: list[dict[str, Any]]) -> list[Claim]:
    """The figures asked for; accuracies are on test images, as the file's runtime computes them."""
    largest = rows[-1]
    accuracy = largest["test_accuracy"]
    claims = [Claim("top-1 of the largest network, float32", accuracy["model.onnx"], "", 0.88, "higher")]
    for target in largest["latency_ms"]:
        fastest = min(rows, key=lambda row: row["latency_ms"][target]["median"])
        ratio = fastest["latency_ms"][target]["median"] / largest["latency_ms"][target]["median"]
        claims.append(Claim(f"latency of the fastest over the largest, {target}", ratio, "", 0.25, "lower"))
        top1 = fastest["test_accuracy"]["model.onnx"]
        claims.append(Claim(f"top-1 of the fastest on {target}, float32", top1, "", 0.78, "higher"))
    for kind in ("onnx", "tflite"):
        losses = [row["test_accuracy"][f"model.{kind}"] - row["test_accuracy"][f"model.int8.{kind}"] for row in rows]
        claims.append(Claim(f"largest loss from float32 to INT8, {kind}", 100 * max(losses), "points", 1, "lower"))
    return claims


def cost(run_dir: Path) -> dict[str, Any]:
    """What training took, from its log."""
    log = [json.loads(line) for line in (run_dir / "train" / "log.jsonl").read_text().splitlines()]
    return {"training_hours": sum(row["seconds"] for row in log) / 3600, "training_curve": log}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=default_data(), help="train.tar.gz, a folder a class")
    parser.add_argument("--run-dir", type=Path, help="run directory to make or go on with (default: a temporary one)")
    options = arguments(__file__, __doc__ or "", parser)
    if not options.extra.data.is_file():
        print(f"skipped: {options.extra.data.name} is not there; give its place with --data or HWNAS_DATA")
        return
    with tempfile.TemporaryDirectory() as temporary:
        run_dir = options.extra.run_dir or Path(temporary) / "cifar10"
        run(options.extra.data, run_dir, QUICK if options.quick else ())
        rows = members(run_dir)
        for row in rows:
            latencies = ", ".join(f"{t} {v['median']:.3f} ms" for t, v in row["latency_ms"].items())
            top1 = ", ".join(f"{file} {value:.4f}" for file, value in row["test_accuracy"].items())
            print(f"{row['name']}: {row['macs'] / 1e6:.1f} M MACs, {latencies}, {top1}")
        out = write_results(options, rows, claims_of(rows), extra_environment=cost(run_dir))
        for picture in (path for pattern in KEPT for path in (run_dir / "report").glob(pattern)):
            shutil.copy(picture, out.with_name(f"{out.stem}-{picture.name}"))


if __name__ == "__main__":
    main()
