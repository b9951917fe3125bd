"""Where a training stands, told through a small file, so that another process can ask at any time."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, get_type_hints

from supernet.checkpoint import WEIGHTS
from supernet.errors import SupernetError
from supernet.files import write_atomic
from supernet.watching import read_log

_STATUS = "status.json"


@dataclass(frozen=True)
class TrainProgress:
    """Where training stands; ``loss`` is that of the first sub-network of the last step."""

    step: int
    total_steps: int
    epoch: int
    loss: float
    learning_rate: float
    images_per_s: float
    seconds_left: float


_KINDS: Final = get_type_hints(TrainProgress)


@dataclass(frozen=True)
class TrainStatus:
    """Where a training stood when it last told.

    Attributes:
        progress: as it was told.
        age_s: seconds since then.
        finished: whether the trained weights are there.
        accuracies: the last ones measured on validation images, by sub-network, 0 to 1.
    """

    progress: TrainProgress
    age_s: float
    finished: bool
    accuracies: Mapping[str, float]


def write_status(directory: Path, progress: TrainProgress) -> None:
    """Tell where training stands."""
    write_atomic(directory / _STATUS, json.dumps({"time": time.time(), **asdict(progress)}).encode())


def read_status(directory: Path) -> TrainStatus | None:
    """Where training stands; None where it has not begun. Only reads files, so it may be training meanwhile.

    Raises:
        SupernetError: the file cannot be read.
    """
    path = directory / _STATUS
    try:
        values = json.loads(path.read_text())
        told = float(values.pop("time"))
        progress = TrainProgress(**{name: _KINDS[name](value) for name, value in values.items()})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise SupernetError(f"{path} cannot be read ({error}); delete it, training writes it again") from error
    prefix = "validation_accuracy_"
    accuracies: dict[str, float] = {}
    for row in read_log(directory):
        accuracies |= {name.removeprefix(prefix): value for name, value in row.items() if name.startswith(prefix)}
    age_s = max(0.0, time.time() - told)
    return TrainStatus(progress, age_s, (directory / WEIGHTS).exists(), accuracies)
