"""Profiles networks on two agents (simulated boards) through two Ray nodes, kills one of each, and counts rows."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from common import ROOT, Claim, arguments, write_results

# Before Ray is imported: nobody was asked whether its makers may have statistics.
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

import ray
from ray.cluster_utils import Cluster

from nas import Ledger, RunDirectory, load_config, run_stage
from nas.config import Config
from nas.files import read_json
from nas.pipeline import prepare
from nas.progress import Silent

CONFIG = ROOT / "experiments" / "configs" / "digits_fake.yaml"
NETWORKS, QUICK_NETWORKS, PASSES, AGENTS = 200, 16, 2, 2
STORE_BYTES = 2**27

# The agent, with a line in a file of its own for every measurement that it makes.
LOGGING_AGENT = """
import json, sys, time
from devices import FakeDevice
from devices.agent.cli import main

file = sys.argv.pop(1)

measure = FakeDevice.measure

def logged(self, artifact, settings):
    begun = time.monotonic()
    made = measure(self, artifact, settings)
    with open(file, "a") as stream:
        stream.write(json.dumps([artifact.sha256, settings.key, begun, time.monotonic()]) + "\\n")
    return made

FakeDevice.measure = logged
main()
"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3, help="runs, each with moments of its own")
    options = arguments(__file__, __doc__ or "", parser)
    count = QUICK_NETWORKS if options.quick else NETWORKS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        alone = profile_alone(folder / "alone", count)
        rows = []
        for seed in range(1 if options.quick else options.extra.seeds):
            place = folder / str(seed)
            shutil.copytree(folder / "alone" / "trained", place)
            row = profile_disturbed(place, count, seed)
            rows.append({**row, "rows_differing": sum(alone.get(k) != v for k, v in medians(place).items())})
            print_row(rows[-1])
    write_results(options, rows, make_claims(rows, count))


def config(count: int, *overrides: str) -> Config:
    """A run that profiles so many networks."""
    return load_config(CONFIG, overrides=["train.epochs=1", f"profile.networks={count}", *overrides])


def profile_alone(folder: Path, count: int) -> dict[str, float]:
    """Medians by network on one simulated device, without Ray; leaves a trained run in ``trained`` beside it."""
    target = "targets=[{name: board, device: fake, format: onnx, precision: float32}]"
    prepare(config(count, target), folder / "trained")
    run_stage(folder / "trained", "train")
    shutil.copytree(folder / "trained", folder / "profiled")
    run_stage(folder / "profiled", "profile")
    return medians(folder / "profiled")


def profile_disturbed(run_dir: Path, count: int, seed: int) -> dict[str, Any]:
    """The same networks on two agents, with a node of the cluster and an agent killed at random moments.

    Args:
        run_dir: of a trained run, which is gone on with.
        count: how many networks.
        seed: of the moments.
    """
    rng = np.random.default_rng(seed)
    logs = [run_dir.with_suffix(f".agent{i}") for i in range(AGENTS)]
    with two_nodes() as (cluster, node), agents(logs) as boards:
        units = ", ".join(
            f"{{name: board{i}, options: {{url: '{url}', unreachable_s: 5}}}}" for i, (_, url) in enumerate(boards)
        )
        target = "targets=[{name: board, device: remote, format: onnx, precision: float32}]"
        prepare(config(count, target, f"pools=[{{device: remote, units: [{units}]}}]"), run_dir)
        victim = int(rng.integers(AGENTS))
        leases: list[int] = []

        def kill_node() -> None:
            leases.append(leases_at(node))
            cluster.remove_node(node, allow_graceful=False)

        killer = Killer(PASSES * count, {"node": kill_node, "agent": boards[victim][0].kill}, rng)
        began = time.monotonic()
        run_stage(run_dir, "profile", progress=killer)
        seconds = time.monotonic() - began
        killer.wait()
    return {
        "seed": seed,
        "networks": count,
        "seconds": round(seconds, 1),
        "killed_at_visit": killer.moments,
        "leases_on_killed_node": leases[0],
        "notes": killer.notes,
        **counts(run_dir, logs, victim),
    }


class Killer(Silent):
    """Listens to a run and kills what it is told to, each at a random visit and up to 0.2 s after it.

    Args:
        visits: how many there will be at least.
        victims: what kills them, by name.
        rng: source of the moments.
    """

    def __init__(self, visits: int, victims: Mapping[str, Callable[[], None]], rng: np.random.Generator) -> None:
        self.moments = {name: int(rng.integers(visits // 20, visits * 3 // 4)) for name in victims}
        self.notes: list[str] = []
        self._timers = {name: threading.Timer(rng.uniform(0, 0.2), kill) for name, kill in victims.items()}
        self._measuring, self._made = False, 0

    def start(self, stage: str, total: int, unit: str, done: int = 0) -> None:
        """See ``Progress``."""
        self._measuring = stage == "profile: measuring"

    def advance(self, steps: int = 1, detail: str = "") -> None:
        """See ``Progress``."""
        if self._measuring and steps:
            self._made += steps
            for name, moment in self.moments.items():
                if moment == self._made:
                    self._timers[name].start()

    def note(self, message: str) -> None:
        """See ``Progress``."""
        self.notes.append(message)

    def wait(self) -> None:
        """Until everything has been killed that was to be."""
        for timer in self._timers.values():
            timer.join()


@contextmanager
def two_nodes() -> Iterator[tuple[Cluster, Any]]:
    """A cluster of two nodes on this machine, to which this process is connected; and the one that may be killed."""
    options = {"num_cpus": 1, "object_store_memory": STORE_BYTES}
    cluster = Cluster(initialize_head=True, head_node_args={**options, "include_dashboard": False})
    try:
        node = cluster.add_node(**options)
        ray.init(address=cluster.address, log_to_driver=False)
        yield cluster, node
    finally:
        ray.shutdown()
        cluster.shutdown()


@contextmanager
def agents(logs: Sequence[Path]) -> Iterator[list[tuple[subprocess.Popen[str], str]]]:
    """Agents, each with its process and its url; one for each log."""
    started = []
    try:
        for log in logs:
            log.touch()
            serve = ["serve", "--port", "0", "--device", "fake", "--directory", str(log.with_suffix(f"{log.suffix}.d"))]
            command = [sys.executable, "-c", LOGGING_AGENT, str(log), *serve]
            environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
            started.append(subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment))
        yield [(process, url_of(process)) for process in started]
    finally:
        for process in started:
            process.kill()
            process.wait()


def url_of(process: subprocess.Popen[str]) -> str:
    """Where an agent serves, by what it says; what else it says is thrown away."""
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("serving"):
            threading.Thread(target=process.stderr.read, daemon=True).start()
            return line.split(" at ")[1].split(";")[0]
    raise SystemExit("an agent did not start")


def leases_at(node: Any) -> int:  # noqa: ANN401 (Ray's)
    """How many leases have their process on a node."""
    raylet = node.all_processes["raylet"][0].process.pid
    found = 0
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parent = int(place.joinpath("stat").read_text().rpartition(")")[2].split()[1])
            found += parent == raylet and place.joinpath("cmdline").read_bytes().startswith(b"ray::UnitProcess")
    return found


def medians(run_dir: Path) -> dict[str, float]:
    """Medians in seconds by network."""
    rows = read_json(RunDirectory(run_dir).result("profile"))["rows"]
    return {row["key"]: row["median_s"] for row in rows}


def counts(run_dir: Path, logs: Sequence[Path], victim: int) -> dict[str, int]:
    """Rows of the profile and the ledger, and what the agents measured, one of which was killed."""
    run = RunDirectory(run_dir)
    rows = read_json(run.result("profile"))["rows"]
    keys = Counter(row["key"] for row in rows)
    with Ledger(run.ledger_url) as ledger:
        kept = ledger.measurements()
    whole = Counter(m.artifact_sha256 for m in kept if not m.settings.visit)
    made = [[json.loads(line) for line in log.read_text().splitlines()] for log in logs]
    times = [sorted((begun, ended) for *_, begun, ended in lines) for lines in made]
    measurements = sum(map(len, made))
    del made[victim][-1:]  # may have died with the agent before anybody had it, and is made again then
    # Every agent measures the sentinel, which has no row; a network is anybody's.
    what = Counter((None if sha in whole else i, sha, key) for i, lines in enumerate(made) for sha, key, *_ in lines)
    return {
        "rows": len(keys),
        "rows_failed": sum(row["error"] is not None for row in rows),
        "rows_doubled": sum(keys.values()) - len(keys) + sum(whole.values()) - len(whole),
        "measurements": measurements,
        "made_twice": sum(what.values()) - len(what),
        "at_once": sum(begun < before for lines in times for (_, before), (begun, _) in pairwise(lines)),
    }


def print_row(row: dict[str, Any]) -> None:
    print(
        f"seed {row['seed']}: {row['rows']} rows, {row['rows_doubled']} doubled, "
        f"{row['rows_failed']} failed; {row['measurements']} measurements in {row['seconds']:.0f} s, "
        f"{row['made_twice']} made twice, {row['at_once']} at once; killed at visit {row['killed_at_visit']}"
    )
    for note in row["notes"]:
        print(f"  {note}")


def make_claims(rows: Sequence[dict[str, Any]], count: int) -> list[Claim]:
    fewest = min(row["rows"] for row in rows)
    name = "networks profiled, the fewest, by two agents and two nodes, one of each killed"

    def none(name: str, key: str, unit: str) -> Claim:
        return Claim(name, sum(row[key] for row in rows), unit, 0, "lower", len(rows))

    return [
        Claim(name, fewest, "rows", count, "higher", len(rows)),
        none("rows doubled", "rows_doubled", "rows"),
        none("rows without a latency", "rows_failed", "rows"),
        none("measurements made twice, but for the last of the killed agent", "made_twice", "measurements"),
        none("measurements begun on a device before another had ended", "at_once", "measurements"),
        none("rows that differ from those of one simulated device alone", "rows_differing", "rows"),
    ]


if __name__ == "__main__":
    main()
