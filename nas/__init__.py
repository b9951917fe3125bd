"""Hardware-aware neural architecture search: from one config to measured, exported, Pareto-optimal networks.

>>> from nas import load_config, run
>>> run(load_config(Path("digits.yaml")), Path("runs/digits"))

Names are imported when they are first used, so that what only looks at a run does not wait for PyTorch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nas.candidate import Candidate, Metric
    from nas.config import Config, load_config, make_config
    from nas.errors import NasError
    from nas.ledger import Ledger, measure_once
    from nas.objective import Limit, Objective, Problem
    from nas.pareto import ParetoFront
    from nas.pipeline import run, run_stage
    from nas.run_directory import RunDirectory
    from nas.sweep.run import run_sweep

_HOMES = {
    "Candidate": "nas.candidate",
    "Config": "nas.config",
    "Ledger": "nas.ledger",
    "Limit": "nas.objective",
    "Metric": "nas.candidate",
    "NasError": "nas.errors",
    "Objective": "nas.objective",
    "ParetoFront": "nas.pareto",
    "Problem": "nas.objective",
    "RunDirectory": "nas.run_directory",
    "load_config": "nas.config",
    "make_config": "nas.config",
    "measure_once": "nas.ledger",
    "run": "nas.pipeline",
    "run_stage": "nas.pipeline",
    "run_sweep": "nas.sweep.run",
}

__all__ = [
    "Candidate",
    "Config",
    "Ledger",
    "Limit",
    "Metric",
    "NasError",
    "Objective",
    "ParetoFront",
    "Problem",
    "RunDirectory",
    "load_config",
    "make_config",
    "measure_once",
    "run",
    "run_stage",
    "run_sweep",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 (whatever the name stands for)
    if name not in _HOMES:
        raise AttributeError(f"module 'nas' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
