"""Kills `nas run` at random moments, resumes it each time, and compares what comes out with an undisturbed run."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from common import ROOT, Claim, arguments, write_results

CONFIGS = ROOT / "experiments" / "configs"
STAGES = {
    "train": "train/result.json",
    "profile": "profile/measurements.json",
    "fit": "predictors/scores.json",
    "search": "search/front.json",
    "confirm": "confirm/front.json",
    "export": "export/index.json",
    "report": "report/index.html",
}
"""Stages in order, each with the file that it writes last."""

# The command line, with a line in a file of its own for every measurement that is begun: the ledger keeps the first
# under each key, so a repeat would not show there.
NAS_COUNTING_STARTS = """
import sys
from devices import FakeDevice, WorkerDevice

file = sys.argv.pop(1)

def counted(device):
    measure = device.measure
    def begun(self, artifact, settings):
        with open(file, "a") as stream:
            stream.write(f"{artifact.sha256} {self.info().key} {settings.key}\\n")
        return measure(self, artifact, settings)
    device.measure = begun

counted(FakeDevice)
counted(WorkerDevice)
from nas.cli import main
main()
"""
NAS = [sys.executable, "-c", NAS_COUNTING_STARTS]
FAKE_TARGETS = (
    "targets=[{name: ort-int8, device: fake, format: onnx, precision: int8},"
    " {name: litert-int8, device: fake, format: tflite, precision: int8, options: {seed: 1, bytes_per_s: 1.0e+9}}]"
)
# What a run leaves behind that must not depend on whether it was killed.
RESULTS = (
    "split.json",
    "train/weights.safetensors",
    "profile/measurements.json",
    "predictors/scores.json",
    "search/candidates.jsonl",
    "search/front.json",
    "confirm/rounds/*/*.json*",
    "confirm/front.json",
    "export/*/*",
)
LONGEST_RUN_S = 3600


class Killer:
    """Runs a config to its end, killing the process at random moments on the way.

    Args:
        config: YAML file.
        overrides: values of ``--set``.
        rng: source of the moments.
    """

    def __init__(self, config: Path, overrides: list[str], rng: np.random.Generator) -> None:
        self._config = config
        self._overrides = overrides
        self._rng = rng
        self.kills: list[dict[str, Any]] = []

    def undisturbed(self, run_dir: Path) -> dict[str, float]:
        """Run to the end; seconds of work by stage, without the time that starting takes."""
        with self._started(run_dir) as process:
            self._wait_for_work(process, run_dir)
            times = [time.time()]
            if process.wait(LONGEST_RUN_S) != 0:
                raise SystemExit(f"a run to the end failed:\n{_last_words(run_dir)}")
        times += [(run_dir / name).stat().st_mtime for name in STAGES.values()]
        return {stage: max(0.0, end - start) for stage, start, end in zip(STAGES, times, times[1:], strict=False)}

    def disturbed(self, run_dir: Path, aims: Sequence[str], seconds: Mapping[str, float]) -> Iterator[None]:
        """Run to the end with up to one kill for each aim; yields after each kill, and once at the end.

        Args:
            run_dir: where to run.
            aims: stages to kill in; there are fewer kills where the run is quicker than expected.
            seconds: how long each stage works undisturbed.
        """
        for aim in sorted(aims, key=list(STAGES).index):
            with self._started(run_dir) as process:
                # One in five while the process is still starting or finding out where it stands, the others at work.
                if len(self.kills) % 5 != 4:
                    self._wait_for_work(process, run_dir)
                    self._wait_for_stage(process, run_dir, aim)
                delay = float(self._rng.uniform(0, seconds[aim] / aims.count(aim)))
                try:
                    if process.wait(delay) != 0:
                        raise SystemExit(f"a resumed run failed:\n{_last_words(run_dir)}")
                    break
                except subprocess.TimeoutExpired:
                    process.send_signal(signal.SIGKILL)
                    process.wait()
            found = next(stage for stage in [*STAGES, "end"] if stage not in stages_done(run_dir))
            kill = {"config": self._config.name, "aimed_at": aim, "fell_on": found, "seconds": round(delay, 2)}
            self.kills.append(kill)
            yield
        with self._started(run_dir) as process:
            if process.wait(LONGEST_RUN_S) != 0:
                raise SystemExit(f"a run to the end failed:\n{_last_words(run_dir)}")
        yield

    @staticmethod
    def _wait_for_work(process: subprocess.Popen[bytes], run_dir: Path) -> None:
        """Wait until the process has said something."""
        log = Path(f"{run_dir}.log")
        before = log.stat().st_size
        while process.poll() is None and log.stat().st_size == before:
            time.sleep(0.02)

    @staticmethod
    def _wait_for_stage(process: subprocess.Popen[bytes], run_dir: Path, stage: str) -> None:
        """Wait until every earlier stage is done."""
        earlier = list(STAGES)[: list(STAGES).index(stage)]
        while process.poll() is None and not {*earlier} <= {*stages_done(run_dir)}:
            time.sleep(0.02)

    @contextlib.contextmanager
    def _started(self, run_dir: Path) -> Iterator[subprocess.Popen[bytes]]:
        sets = [word for override in self._overrides for word in ("--set", override)]
        command = [*NAS, f"{run_dir}.starts", "run", str(self._config), "--run-dir", str(run_dir), *sets]
        with Path(f"{run_dir}.log").open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, cwd=ROOT)
            try:
                yield process
            finally:
                process.kill()
                process.wait()


def _last_words(run_dir: Path) -> str:
    return Path(f"{run_dir}.log").read_text(errors="replace")[-2000:]


def stages_done(run_dir: Path) -> list[str]:
    """Stages with a result so far."""
    return [stage for stage, name in STAGES.items() if (run_dir / name).is_file()]


def spread(kills: int, rng: np.random.Generator) -> list[str]:
    """A stage for each kill: every stage as often as any other, as far as the number goes."""
    rounds = [rng.permutation(list(STAGES)) for _ in range(-(-kills // len(STAGES)))]
    return [str(stage) for stage in np.concatenate(rounds)[:kills]]


def digests(run_dir: Path) -> dict[str, str]:
    """SHA-256 of every result file by its name in the run directory."""
    files = sorted(path for pattern in RESULTS for path in run_dir.glob(pattern))
    return {str(path.relative_to(run_dir)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def ledger_rows(run_dir: Path) -> dict[tuple[str, ...], str]:
    """Successful measurements by their key."""
    path = run_dir / "ledger.sqlite"
    if not path.is_file():
        return {}
    with contextlib.closing(sqlite3.connect(path)) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'measurements'").fetchone():
            return {}
        rows = connection.execute(
            "SELECT artifact_sha256, device_key, settings_key, recorded_at, body FROM measurements"
        )
        return {tuple(row[:3]): "".join(row[3:]) for row in rows}


def starts(run_dir: Path) -> list[tuple[str, ...]]:
    """Keys of the measurements that were begun, in order."""
    path = Path(f"{run_dir}.starts")
    return [tuple(line.split()) for line in path.read_text().splitlines()] if path.is_file() else []


def same_front(
    folder: Path, config: Path, overrides: list[str], kills: int, rng: np.random.Generator
) -> tuple[dict[str, Any], dict[str, float]]:
    """Compare a run that is killed with one that is not, on simulated devices; the row, and seconds by stage."""
    killer = Killer(config, overrides, rng)
    seconds = killer.undisturbed(folder / "undisturbed")
    attempt = 0
    differing: list[str] = []
    expected = digests(folder / "undisturbed")
    while len(killer.kills) < kills:
        run_dir = folder / f"killed-{attempt}"
        for _ in killer.disturbed(run_dir, spread(kills - len(killer.kills), rng), seconds):
            pass
        found = digests(run_dir)
        differing += [name for name in {*expected, *found} if expected.get(name) != found.get(name)]
        attempt += 1
    row = {
        "devices": "fake",
        "kills": killer.kills,
        "undisturbed_s": {stage: round(value, 1) for stage, value in seconds.items()},
        "files_compared": len(expected),
        "files_differing": sorted(differing),
    }
    return row, seconds


def nothing_lost(
    folder: Path,
    config: Path,
    overrides: list[str],
    *,
    kills: int,
    seconds: Mapping[str, float],
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Follow the ledger through kills, on real runtimes; ``seconds`` is about how long each stage works."""
    killer = Killer(config, overrides, rng)
    lost = repeated = measured = begun = attempt = 0
    while len(killer.kills) < kills:
        run_dir = folder / f"ledger-{attempt}"
        before: dict[tuple[str, ...], str] = {}
        seen = 0
        for _ in killer.disturbed(run_dir, spread(kills - len(killer.kills), rng), seconds):
            now, made = ledger_rows(run_dir), starts(run_dir)
            fresh, seen = made[seen:], len(made)
            lost += sum(now.get(key) != body for key, body in before.items())
            repeated += sum(key in before for key in fresh) + len(fresh) - len({*fresh})
            before = now
        measured, begun = measured + len(before), begun + seen
        attempt += 1
    return {
        "devices": "real",
        "kills": killer.kills,
        "measurements": measured,
        "measurements_begun": begun,
        "lost": lost,
        "made_twice": repeated,
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    options = arguments(__file__, "Kill and resume: the same front, no measurement lost or made twice", parser)
    rng = np.random.default_rng(options.extra.seed)
    kills = 2 if options.quick else 10
    quick = [
        "profile.networks=6",
        "predictor={folds: 3, min_spearman: -1, max_mape: 100}",
        "search.evaluations=20",
        "confirm.members=3",
    ]
    real = [
        "targets=[{name: ort, device: onnxruntime_cpu, precision: float32},"
        " {name: litert, device: litert_cpu, precision: float32}]",
        "measure={min_warmup_s: 0.02, min_time_s: 0.1, min_count: 10}",
    ]
    small, full = CONFIGS / "digits_fake.yaml", CONFIGS / "digits.yaml"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config, fake, true = (small, quick, [*quick, *real]) if options.quick else (full, [FAKE_TARGETS], [])
        front, seconds = same_front(folder, config, fake, kills, rng)
        ledger = nothing_lost(folder, config, true, kills=kills, seconds=seconds, rng=rng)
    write_results(
        options,
        [front, ledger],
        [
            Claim("kills survived on simulated devices", len(front["kills"]), "kills", kills, "higher"),
            Claim("files that differ from an undisturbed run", len(front["files_differing"]), "files", 0, "lower"),
            Claim("kills survived on real runtimes", len(ledger["kills"]), "kills", kills, "higher"),
            Claim("measurements lost", ledger["lost"], "measurements", 0, "lower"),
            Claim("measurements made twice", ledger["made_twice"], "measurements", 0, "lower"),
        ],
    )


if __name__ == "__main__":
    main()
