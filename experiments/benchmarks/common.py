"""What every benchmark script shares: its command line, the environment it ran in, and the file it writes.

A script is ``experiments/benchmarks/NAME.py [--quick] [--out FILE]`` and reads::

    from common import Claim, arguments, write_results

    options = arguments(__file__, "What this benchmark shows")
    rows = [...]
    write_results(options, rows, [Claim("time to write a model file", 4.2, unit="ms", target=20, better="lower")])
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "experiments" / "results"
QUICK_RESULTS = ROOT / "build" / "benchmarks"
PACKAGES = (
    "hwnas",
    "ai-edge-litert",
    "ai-edge-quantizer",
    "numpy",
    "onnx",
    "onnxruntime",
    "optuna",
    "ray",
    "scikit-learn",
    "torch",
)


@dataclass(frozen=True)
class Claim:
    """One figure that was asked for, kept also where it does not hold.

    Attributes:
        value: what was found, in ``unit``.
        target: what was asked for, in ``unit``.
        better: on which side of the target a value is good.
        seeds: how many independent runs the value is the mean (or the worst) of.
        spread: standard deviation over the seeds, in ``unit``; None for one run.
    """

    name: str
    value: float
    unit: str
    target: float
    better: Literal["higher", "lower"]
    seeds: int = 1
    spread: float | None = None

    @property
    def holds(self) -> bool:
        """Whether the value reaches the target; a value that is not a number never does."""
        return self.value >= self.target if self.better == "higher" else self.value <= self.target

    def to_json(self) -> dict[str, Any]:
        """The claim as it stands in the result file."""
        return {
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "target": self.target,
            "better": self.better,
            "holds": self.holds,
            "seeds": self.seeds,
            "spread": self.spread,
        }


@dataclass(frozen=True)
class Options:
    """Command line of one benchmark run.

    Attributes:
        name: the script's name without its ending.
        quick: a short run that shows the script works; its figures are rough.
        out: file to write.
        extra: values of the script's own arguments, by name.
    """

    name: str
    quick: bool
    out: Path
    extra: argparse.Namespace


def arguments(
    script: str, description: str, parser: argparse.ArgumentParser | None = None, argv: Sequence[str] | None = None
) -> Options:
    """Parse ``[--quick] [--out FILE]`` and whatever ``parser`` already has.

    A quick run writes under ``build/benchmarks`` unless told otherwise, so that it never replaces a committed result.

    Args:
        script: the benchmark's ``__file__``.
        description: what it shows, in one line.
        parser: a parser that already holds the script's own arguments.
        argv: the arguments; the process's own where None.
    """
    name = Path(script).stem
    parser = parser or argparse.ArgumentParser()
    parser.description = description
    parser.add_argument("--quick", action="store_true", help="a short run with rough figures")
    parser.add_argument("--out", type=Path, help=f"result file (default: experiments/results/{name}.json)")
    values = parser.parse_args(argv)
    default = (QUICK_RESULTS if values.quick else RESULTS) / f"{name}.json"
    return Options(name=name, quick=values.quick, out=values.out or default, extra=values)


def environment() -> dict[str, Any]:
    """CPU, cores this process may use, versions, commit and date (UTC) of this run."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "cpu": _cpu_name(),
        "cores": _cores(),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": versions,
        "commit": _commit(),
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d"),
    }


def write_results(
    options: Options,
    rows: Sequence[Mapping[str, Any]],
    claims: Sequence[Claim],
    *,
    extra_environment: Mapping[str, Any] | None = None,
) -> Path:
    """Write the result file atomically, print the claims, and return the file's path."""
    result = {
        "benchmark": options.name,
        "command": command(options),
        "environment": {**environment(), **(extra_environment or {})},
        "rows": [dict(row) for row in rows],
        "claims": [claim.to_json() for claim in claims],
    }
    write_json(options.out, result)
    for claim in claims:
        sign = "≥" if claim.better == "higher" else "≤"
        verdict = "holds" if claim.holds else "DOES NOT HOLD"
        print(f"{verdict}: {claim.name}: {claim.value:.4g} {claim.unit} (asked: {sign} {claim.target:g})")
    print(f"wrote {options.out}")
    return options.out


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a file atomically; what stood there stays where the value is no JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(value, file, indent=1, allow_nan=False)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def markdown(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown; cells cannot break out of it."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def command(options: Options, argv: Sequence[str] | None = None) -> str:
    """The command that makes this result, as typed from the repository's root, without where its output went."""
    words = list(sys.argv[1:] if argv is None else argv)
    if "--out" in words:
        at = words.index("--out")
        del words[at : at + 2]
    words = [word for word in words if not word.startswith("--out=")]
    # The data's place on this machine is nobody else's: only its last part is kept.
    words = [Path(word).name if Path(word).is_absolute() else word for word in words]
    return shlex.join(["python", f"experiments/benchmarks/{options.name}.py", *words])


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() in ("model name", "Model", "Hardware") and value.strip():
                return value.strip()
    return platform.processor() or platform.machine()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _commit() -> str | None:
    def git(*words: str) -> str:
        done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!experiments/results")
        return git("rev-parse", "HEAD") + ("+changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None
