"""Logs and status: what is written, what another process reads meanwhile, what is said where a package is missing."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from search_spaces import SearchSpace
from supernet import SupernetError, TrainData, TrainProgress, TrainSettings, read_status, train
from supernet.status import write_status
from supernet.watching import JsonLines, make_listeners, read_log

SETTINGS = TrainSettings(epochs=2, batch_size=16, crop_padding=1, threads=1, precision="float32")


def test_the_log_forgets_the_steps_that_are_taken_again(tmp_path: Path) -> None:
    log = JsonLines(tmp_path, 0)
    for step in (4, 8, 12):
        log.row(step, {"loss": step / 10})
    with (tmp_path / "log.jsonl").open("a") as stream:
        stream.write('{"step": 16, "lo')
    assert [row["step"] for row in read_log(tmp_path)] == [4, 8, 12]
    JsonLines(tmp_path, 8).row(12, {"loss": 0.0})
    assert [row["loss"] for row in read_log(tmp_path)] == [0.4, 0.8, 0.0]


@pytest.mark.parametrize(
    "damaged",
    [
        "[" * 100_000,
        '{"step": "5"}',
        '{"step": null}',
        '{"loss": 1}',
        '{"step": 3, "validation_accuracy_smallest": "much"}',
        '{"step": 3, "validation_accuracy_smallest": 1' + "0" * 400 + "}",
        "[5]",
        "5",
    ],
    ids=lambda damaged: damaged[:50],
)
def test_a_log_counts_up_to_its_first_damaged_line(damaged: str, tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text(f'{{"step": 4}}\n{damaged}\n{{"step": 8}}\n')
    JsonLines(tmp_path, 4).row(6, {"loss": 0.0})
    assert [row["step"] for row in read_log(tmp_path)] == [4, 6]


def test_status_is_read_from_files_while_training_and_after(
    tiny_space: SearchSpace, coloured_squares: TrainData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("supernet.records._PROGRESS_EVERY_S", -1.0)
    monkeypatch.setattr("supernet.records._STATUS_EVERY_S", -1.0)
    assert read_status(tmp_path) is None
    seen = []

    def progress(at: TrainProgress) -> None:
        if at.step > 1:
            seen.append(read_status(tmp_path))

    train(tiny_space, coloured_squares, SETTINGS, tmp_path, progress)
    assert [status.progress.step for status in seen if status] == list(range(1, 8))
    assert all(status and not status.finished for status in seen)
    done = read_status(tmp_path)
    assert done is not None
    assert done.finished
    assert (done.progress.step, done.progress.total_steps, done.progress.epoch) == (8, 8, 1)
    assert set(done.accuracies) == {"smallest", "largest", "random"}
    assert done.age_s < 600


def test_a_status_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    write_status(tmp_path, TrainProgress(1, 2, 0, 0.5, 0.1, 10.0, 3.0))
    path = tmp_path / "status.json"
    values = json.loads(path.read_text())
    changed = [json.dumps(values | change) for change in ({"x": 1}, {"loss": "much"}, {"step": None}, {"epoch": 1e999})]
    for damaged in ("{", "[]", "{}", "[" * 100_000, *changed):
        path.write_text(damaged)
        with pytest.raises(SupernetError, match=r"status\.json cannot be read"):
            read_status(tmp_path)


@pytest.mark.parametrize("package", ["tensorboard", "mlflow"])
def test_a_missing_package_is_named_with_the_way_to_install_it(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    settings = replace(SETTINGS, watch=(package,))  # type: ignore[arg-type]
    with pytest.raises(SupernetError, match=rf"'{package}', which is not installed .*pip install -e '\.\[{package}\]'"):
        make_listeners(tmp_path, settings, 0)


def test_tensorboard_gets_every_figure(tmp_path: Path) -> None:
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")

    listeners = make_listeners(tmp_path, replace(SETTINGS, watch=("tensorboard",)), 0)
    for listener in listeners:
        listener.row(4, {"loss": 0.5, "validation_accuracy_smallest": 0.25})
        listener.close()
    events = reader.EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [(e.step, e.value) for e in events.Scalars("train/validation_accuracy_smallest")] == [(4, 0.25)]


def test_mlflow_gets_every_figure_and_goes_on_in_its_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []

    def start_run(**words: object) -> SimpleNamespace:
        calls.append(words)
        return SimpleNamespace(info=SimpleNamespace(run_id="run-7"))

    fake = ModuleType("mlflow")
    fake.__dict__.update(
        start_run=start_run,
        log_metrics=lambda figures, step: calls.append((step, figures)),
        end_run=lambda: calls.append("end"),
    )
    monkeypatch.setitem(sys.modules, "mlflow", fake)
    settings = replace(SETTINGS, watch=("mlflow",))
    for start in (0, 4):
        _, listener = make_listeners(tmp_path / "my-run" / "train", settings, start)
        listener.row(start + 4, {"loss": 0.5})
        listener.close()
    assert calls[0] == {"run_id": None, "run_name": "my-run"}
    assert calls[1:3] == [(4, {"loss": 0.5}), "end"]
    assert calls[3] == {"run_id": "run-7", "run_name": None}
