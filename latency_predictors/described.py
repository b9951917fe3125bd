"""Networks as the few-shot model reads them: the features of ``features.py`` in groups, and work as virtual devices."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from latency_predictors.features import feature_names
from latency_predictors.few_shot import Description

Floats = NDArray[np.float64]

_SECONDS_PER_MAC, _SECONDS_PER_ELEMENT, _SECONDS_PER_LAUNCH = 1e-10, 1e-9, 5e-6
"""Of a device of no particular kind; the virtual devices that combine work weigh it by these."""


def described(matrix: Floats) -> tuple[Description, dict[str, Floats]]:
    """Description and quantities of networks.

    Args:
        matrix: as ``feature_matrix`` gives it, shape ``(networks, features)``.
    """
    columns: dict[str, list[int]] = {}
    for index, name in enumerate(feature_names()):
        columns.setdefault(_group(name), []).append(index)
    groups = {name: matrix[:, members] for name, members in columns.items()}
    total = {name: matrix[:, feature_names().index(f"total.{name}")] for name in ("macs", "elements", "count")}
    macs, elements = total["macs"] * _SECONDS_PER_MAC, total["elements"] * _SECONDS_PER_ELEMENT
    launches = total["count"] * _SECONDS_PER_LAUNCH
    quantities = {
        "macs": macs + _SECONDS_PER_LAUNCH,
        "elements": elements,
        "launches": launches,
        "macs_and_launches": macs + launches,
        "elements_and_launches": elements + launches,
        "everything": macs + elements + launches,
    }
    return Description.of(groups), quantities


def _group(name: str) -> str:
    """Entries that count the same in the same unit, for every kind of operation or every level, are one group."""
    parts = name.split(".")
    if parts[0].startswith("level_"):
        return f"level.{parts[1]}"
    if parts[-1].startswith("kernel_"):
        return f"kernel.{parts[1]}"
    if len(parts) == 1 or parts[0] in ("total", "largest_node"):
        return name
    return f"kind.{parts[1]}"
