from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas.config import load_config
from nas.report import write_report
from nas.run_directory import RunDirectory
from search_spaces import Architecture

TARGETS = ("slow-chip", "narrow-bus")


def _write(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def _describe(target: str) -> dict[str, Any]:
    return {
        "format": "onnx" if target == "slow-chip" else "tflite",
        "precision": "float32",
        "settings": {
            "threads": 1, "batch": 1, "min_warmup_s": 0.1, "min_time_s": 0.5, "min_count": 50, "max_time_s": 10.0,
            "timeout_s": 60.0,
        },
        "device": {
            "name": "fake", "kind": "simulated", "runtime": "roofline", "runtime_version": "1", "cpu": "Some CPU",
            "cores": 2, "machine": "x86_64", "system": "Linux", "options": {"seed": "0"}, "key": "fake-0",
        },
    }  # fmt: skip


def _measurement(arch: Architecture, target: str, seconds: float, error: str | None = None) -> dict[str, Any]:
    return {
        "key": arch.key,
        "choices": list(arch.choices),
        "target": target,
        "sha256": "ab" * 32,
        "source": "measured",
        "median_s": None if error else seconds,
        "p90_s": None if error else 1.1 * seconds,
        "count": 0 if error else 50,
        "peak_memory_bytes": None,
        "environment": {"time": "2026-01-02T03:04:05+00:00", "load_average_before": "0.50"},
        "error": error,
    }


def _metric(value: float, unit: str, source: str) -> dict[str, Any]:
    return {"value": value, "unit": unit, "source": source}


class WrittenRun:
    """A run directory filled by hand, stage by stage, as the stages fill it."""

    def __init__(self, path: Path, config: Path) -> None:
        self.path = path
        self.run = RunDirectory.create(path, load_config(config))
        space = self.run.config.make_space()
        self.archs = space.architectures(space.sample_indices(np.random.default_rng(0), 12))

    def train(self) -> None:
        rows = [
            {"epoch": e, "step": 9 * e, "loss": 2.0 / e, "validation_accuracy_smallest": 0.4 + 0.1 * e,
             "validation_accuracy_largest": 0.5 + 0.1 * e, "seconds": 1.0}
            for e in (1, 2, 3)
        ]  # fmt: skip
        (self.path / "train").mkdir()
        torn = '{"epoch": 4, "st'
        (self.path / "train" / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + torn)
        _write(self.path / "train" / "result.json", {"weights_sha256": "cd" * 32})

    def profile(self) -> None:
        rows = [_measurement(a, t, 1e-3 * (i + 1)) for i, a in enumerate(self.archs[:4]) for t in TARGETS]
        rows.append(_measurement(self.archs[5], "slow-chip", 0, error="the worker <died> with signal 11"))
        _write(
            self.path / "profile" / "measurements.json",
            {"targets": {t: _describe(t) for t in TARGETS}, "rows": rows},
        )

    def fit(self) -> None:
        def row(used: str | None) -> dict[str, Any]:
            scores = {
                "spearman": 0.95,
                "kendall": 0.9,
                "mape": 0.05,
                "mae_s": 1e-4,
                "within_10_percent": 0.9,
                "count": 4,
            }
            points = [
                {"key": a.key, "measured_s": 1e-3 * i, "predicted_s": 9e-4 * i} for i, a in enumerate(self.archs, 1)
            ]
            return {
                "used": used,
                "best": "table",
                "passed": used is not None,
                "verdict": "text",
                "candidates": [{"predictor": name, "scores": scores} for name in ("boosting", "table")],
                "points": points,
            }

        _write(
            self.path / "predictors" / "scores.json",
            {"targets": {"slow-chip": row("table"), "narrow-bus": row(None)}},
        )

    def search(self) -> None:
        rows = [self._candidate(i) for i in range(len(self.archs))]
        rows[-1]["metrics"].pop("accuracy")
        (self.path / "search").mkdir()
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (self.path / "search" / "candidates.jsonl").write_text(text)
        _write(self.path / "search" / "front.json", {"objectives": [], "limits": [], "members": rows[:4]})

    def confirm(self) -> None:
        rows = [self._confirmed(i) for i in range(4)]
        _write(
            self.path / "confirm" / "front.json",
            {
                "objectives": [],
                "limits": [],
                "targets": {t: _describe(t) for t in TARGETS},
                "members": rows[:2],
                "dominated": rows[2:3],
                "dropped": [{**rows[3], "why": "as measured it breaks the limit latency_s.slow-chip at most 1 ms"}],
            },
        )

    def rounds(self) -> None:
        """Two rounds of confirming, the first of which contradicted what was predicted."""
        check = {"key": self.archs[0].key, "target": "slow-chip", "predicted_s": 1e-3, "low_s": 9e-4, "high_s": 1.1e-3}
        first = {
            "round": 1, "judged": 0, "refitted": {}, "members": [self.archs[0].key], "broken": {}, "quality": {},
            "compared": [{**check, "measured_s": 1.5e-3, "within": False}], "entered": [self.archs[0].key],
            "contradicted": ["slow-chip: 1 of 1 networks are <outside>"],
        }  # fmt: skip
        refit = {"best": "table", "networks": 9, "error_before": 0.333, "error_after": 0.021}
        second = {
            **first, "round": 2, "judged": 40, "refitted": {"slow-chip": refit}, "contradicted": [], "entered": [],
            "compared": [{**check, "key": self.archs[1].key, "measured_s": 1.05e-3, "within": True}],
        }  # fmt: skip
        for number, row in enumerate((first, second), 1):
            _write(self.path / "confirm" / "rounds" / str(number) / "round.json", row)

    def fleet(self) -> None:
        """Fronts of each target and of a fleet, as confirmed."""
        path = self.path / "confirm" / "front.json"
        result = json.loads(path.read_text())
        keys = [arch.key for arch in self.archs]
        result["fronts"] = {
            "members": {"slow-chip": keys[:1], "narrow-bus": keys[:2], "fleet": [keys[1]]},
            "fleet": {
                "how": "mean",
                "weights": {"slow-chip": 3.0, "narrow-bus": 1.0},
                "latencies_s": {key: 1.5e-3 * (number + 1) for number, key in enumerate(keys[:4])},
            },
        }
        _write(path, result)

    def _candidate(self, i: int) -> dict[str, Any]:
        arch = self.archs[i]
        metrics = {"accuracy": _metric(0.9 - 0.01 * i, "1", "evaluated")}
        metrics |= {f"latency_s.{t}": _metric(1e-3 * (i + 1), "s", "predicted") for t in TARGETS}
        return {"key": arch.key, "space": arch.space, "choices": list(arch.choices), "metrics": metrics}

    def _confirmed(self, i: int) -> dict[str, Any]:
        row = self._candidate(i)
        return {
            **row,
            "predicted": row["metrics"],
            "files": {
                "onnx-float32": {"sha256": "ab" * 32, "accuracy": 0.89},
                "tflite-float32": {"sha256": "ba" * 32, "accuracy": 0.88},
            },
            "measurements": [_measurement(self.archs[i], t, 1.2e-3 * (i + 1)) for t in TARGETS],
        }


@pytest.fixture
def written(tmp_path: Path, root: Path) -> WrittenRun:
    """A new run directory with nothing but its config."""
    return WrittenRun(tmp_path / "my-run", root / "experiments" / "configs" / "digits_fake.yaml")


@pytest.fixture(scope="session")
def full_page(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Path:
    """The page of a run with everything in it; not to be changed."""
    written = WrittenRun(
        tmp_path_factory.mktemp("full") / "my-run", root / "experiments" / "configs" / "digits_fake.yaml"
    )
    for stage in (
        written.train,
        written.profile,
        written.fit,
        written.search,
        written.confirm,
        written.fleet,
        written.rounds,
    ):
        stage()
    return write_report(written.path)
