"""Counts of what an agent has done, as Prometheus reads them."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping

_HELP = {
    "requests_total": "HTTP requests by method and status.",
    "measurements_total": "Measurements by device and outcome.",
    "predicted_images_total": "Images that were run through model files.",
    "uploaded_bytes_total": "Bytes of model files that have arrived.",
    "turns_waiting": "Measurements and predictions that wait for the board.",
    "results_kept": "Results that nobody has fetched.",
    "artifact_bytes": "Bytes of model files on the disk.",
    "hung": "1 while a device hangs.",
}
_PREFIX = "hwnas_agent_"


class Metrics:
    """Counters with labels, safe between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, tuple[tuple[str, str], ...]]] = Counter()

    def count(self, name: str, amount: int = 1, **labels: str) -> None:
        """Add to a counter."""
        with self._lock:
            self._counts[name, tuple(sorted(labels.items()))] += amount

    def text(self, present: Mapping[str, float]) -> str:
        """Everything in Prometheus' text format.

        Args:
            present: figures of this moment by name, beside what has been counted.
        """
        with self._lock:
            rows = sorted(self._counts.items())
        lines: list[str] = []
        for name, kind in ((name, "counter" if name.endswith("_total") else "gauge") for name in _HELP):
            lines += [f"# HELP {_PREFIX}{name} {_HELP[name]}", f"# TYPE {_PREFIX}{name} {kind}"]
            if name in present:
                lines.append(f"{_PREFIX}{name} {present[name]:g}")
            lines += [f"{_PREFIX}{name}{_labels(labels)} {value}" for (found, labels), value in rows if found == name]
        return "\n".join(lines) + "\n"


def _labels(labels: tuple[tuple[str, str], ...]) -> str:
    """Names of devices and methods hold nothing that would have to be escaped."""
    return "{" + ",".join(f'{name}="{value}"' for name, value in labels) + "}" if labels else ""
