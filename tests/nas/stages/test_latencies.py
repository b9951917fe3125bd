from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from devices import Artifact, DeviceInfo, FakeDevice, Measurement, MeasureSettings, Workload
from nas.candidate import Candidate
from nas.errors import NasError
from nas.ledger import Ledger
from nas.stages.context import Context
from nas.stages.latencies import MeasuredLatencies, make_latencies
from nas.stages.targets import Target
from search_spaces import get_space

SETTINGS = MeasureSettings(min_count=20)
SPACE = get_space("mobilenetv3_32")
METRIC = "latency_s.chip"


class Timed(FakeDevice):
    """Passes for a real device, counts what is asked of it, and can break."""

    def __init__(self) -> None:
        super().__init__(noise=0.0)
        self.asked: list[str] = []
        self.broken = False

    def info(self) -> DeviceInfo:
        return replace(super().info(), kind="cpu")

    def measure(self, artifact: Artifact, settings: MeasureSettings) -> Measurement:
        self.asked.append(artifact.sha256)
        if self.broken:
            return Measurement.failed(artifact, self.name, settings, "it fell off the table")
        return replace(super().measure(artifact, settings), environment=(("cpu", "made up"),))


class Files:
    """Stands in for model files: a name for each, and their work."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.discarded: list[str] = []

    def get(self, arch: Any) -> dict[tuple[str, str], Artifact]:
        path = self._folder / f"{arch.key}.onnx"
        path.write_bytes(arch.key.encode())
        work = Workload(1_000_000 * (1 + sum(arch.choices)), 1000, 1000)
        artifact = Artifact.from_file(path, format="onnx", precision="float32", input_shape=(3, 8, 8), workload=work)
        return {("onnx", "float32"): artifact}

    def discard(self, arch: Any) -> None:
        self.discarded.append(arch.key)


@pytest.fixture
def device() -> Timed:
    return Timed()


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def context(device: Timed, told: list[str], tmp_path: Path) -> Context:
    stub = SimpleNamespace(
        config=SimpleNamespace(profile=SimpleNamespace(passes=2)),
        targets=(Target("chip", device, "onnx", "float32", SETTINGS),),
        progress=SimpleNamespace(advance=lambda *_, **__: None, note=told.append),
        rng=lambda *purpose: np.random.default_rng(len(purpose)),
        path=tmp_path.joinpath,
        model_files=lambda *_, **__: Files(tmp_path),
    )
    return cast("Context", stub)


@pytest.fixture
def candidates() -> list[Candidate]:
    rng = np.random.default_rng(0)
    return [Candidate(SPACE.canonical(SPACE.sample(rng)), {}) for _ in range(4)]


@contextmanager
def latencies(context: Context, folder: Path) -> Iterator[MeasuredLatencies]:
    with Ledger(f"sqlite:///{folder / 'ledger.sqlite'}") as ledger:
        made = make_latencies(context, {}, ledger)
        assert made is not None
        yield made


def test_a_batch_is_measured_in_passes_with_a_sentinel_in_between(
    context: Context, device: Timed, told: list[str], candidates: list[Candidate], tmp_path: Path
) -> None:
    with latencies(context, tmp_path) as made:
        found = made.add(candidates)
    assert [candidate.arch for candidate in found] == [candidate.arch for candidate in candidates]
    metrics = [candidate.metrics[METRIC] for candidate in found]
    assert {metric.source for metric in metrics} == {"measured"}
    assert all(metric.interval is not None and metric.interval[0] <= metric.value for metric in metrics)
    by_work = np.argsort([sum(candidate.arch.choices) for candidate in candidates])
    assert (np.diff([metrics[index].value for index in by_work]) >= 0).all()
    counts = sorted(device.asked.count(sha256) for sha256 in set(device.asked))
    assert counts == [2, 2, 2, 2, 3]  # each network in both passes; the sentinel before, between and after
    assert any("two passes agree" in line for line in told)


def test_what_was_measured_before_a_kill_is_not_measured_again(
    context: Context, device: Timed, candidates: list[Candidate], tmp_path: Path
) -> None:
    with latencies(context, tmp_path) as made:
        first = made.add(candidates)
    asked = len(device.asked)
    with latencies(context, tmp_path) as made:
        assert made.add(candidates) == first
    assert len(device.asked) == asked


def test_a_network_that_cannot_be_measured_stops_the_search(
    context: Context, device: Timed, candidates: list[Candidate], tmp_path: Path
) -> None:
    device.broken = True
    with (
        latencies(context, tmp_path) as made,
        pytest.raises(NasError, match=r"on 'chip': it fell off the table.*predictor failed its check"),
    ):
        made.add(candidates)


def test_nothing_is_measured_where_every_target_has_a_predictor(context: Context, tmp_path: Path) -> None:
    with Ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}") as ledger:
        assert make_latencies(context, {"chip": cast("Any", None)}, ledger) is None
