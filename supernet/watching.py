"""Where the figures of a training go: a log of JSON lines always, TensorBoard and MLflow where asked."""

from __future__ import annotations

import importlib
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from supernet.errors import SupernetError
from supernet.files import write_atomic
from supernet.settings import TrainSettings

LOG = "log.jsonl"
_MLFLOW_RUN = "mlflow_run.txt"


class Listener(Protocol):
    """Takes in a row of figures an epoch."""

    def row(self, step: int, figures: Mapping[str, float]) -> None:
        """Figures after ``step`` steps, by name."""
        ...

    def close(self) -> None:
        """Nothing more will come."""
        ...


def make_listeners(directory: Path, settings: TrainSettings, start: int) -> list[Listener]:
    """The listeners that settings ask for, the log of JSON lines first.

    Args:
        directory: of the training.
        settings: of the training.
        start: steps done; later ones that were logged before are taken again, and their figures dropped.

    Raises:
        SupernetError: a package that is not installed.
    """
    kinds: dict[str, Callable[[Path, int], Listener]] = {"tensorboard": TensorBoard, "mlflow": MLflow}
    asked = [kinds[name](directory, start) for name in dict.fromkeys(settings.watch)]
    return [JsonLines(directory, start), *asked]


class JsonLines:
    """``log.jsonl``: an object a line."""

    def __init__(self, directory: Path, start: int) -> None:
        self._path = directory / LOG
        if self._path.exists():
            kept = (json.dumps(row) + "\n" for row in read_log(directory) if row["step"] <= start)
            write_atomic(self._path, "".join(kept).encode())

    def row(self, step: int, figures: Mapping[str, float]) -> None:
        """A line."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a") as stream:
            stream.write(json.dumps({"step": step, **figures}) + "\n")

    def close(self) -> None:
        """Nothing is open."""


class TensorBoard:
    """Event files in ``tensorboard/``; look at them with ``tensorboard --logdir``."""

    def __init__(self, directory: Path, start: int) -> None:
        _require("tensorboard", "tensorboard")
        module = importlib.import_module("torch.utils.tensorboard")
        self._writer: Any = module.SummaryWriter(str(directory / "tensorboard"), purge_step=start + 1)

    def row(self, step: int, figures: Mapping[str, float]) -> None:
        """A point of every curve."""
        for name, value in figures.items():
            self._writer.add_scalar(f"train/{name}", value, step)
        self._writer.flush()

    def close(self) -> None:
        """Close the event file."""
        self._writer.close()


class MLflow:
    """One MLflow run, where MLflow's own settings say (``MLFLOW_TRACKING_URI``); a resumed training goes on in it."""

    def __init__(self, directory: Path, start: int) -> None:
        self._mlflow: Any = _require("mlflow", "mlflow")
        known = directory / _MLFLOW_RUN
        run_id = known.read_text().strip() if start > 0 and known.exists() else None
        run = self._mlflow.start_run(run_id=run_id, run_name=None if run_id else directory.resolve().parent.name)
        write_atomic(known, str(run.info.run_id).encode())

    def row(self, step: int, figures: Mapping[str, float]) -> None:
        """A point of every metric."""
        self._mlflow.log_metrics(dict(figures), step=step)

    def close(self) -> None:
        """End the run."""
        self._mlflow.end_run()


def read_log(directory: Path) -> list[dict[str, float]]:
    """Rows of a training's log; a damaged line, such as one torn by a kill, and all after it are left out."""
    path = directory / LOG
    rows: list[dict[str, float]] = []
    if not path.exists():
        return rows
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            row = json.loads(line)
            for value in (row["step"], *row.values()):
                math.isnan(value)  # takes neither texts nor whole numbers of hundreds of digits
        except (AttributeError, KeyError, OverflowError, RecursionError, TypeError, ValueError):
            break
        rows.append(row)
    return rows


def _require(package: str, extra: str) -> ModuleType:
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise SupernetError(
            f"train.watch names {package!r}, which is not installed ({error}); "
            f"install it, in the checkout of hwnas, with `pip install -e '.[{extra}]'`, or leave it out of train.watch"
        ) from error
