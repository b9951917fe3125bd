"""TFLite's ``benchmark_model``: how it is called and what it says.

It keeps no single samples, only statistics over a run of them: newer ones print the median, older ones the mean. What
is written down of a run is therefore one figure, and which one it is.
"""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass
from typing import Any

from devices.errors import DeviceError
from devices.measurement import MeasureSettings

_STATISTICS = re.compile(r"\b(count|first|curr|min|max|avg|std|p5|median|p95)=([0-9.]+(?:e[+-]?[0-9]+)?)")
_SUMMARY = re.compile(
    r"Inference timings in us: Init: ([0-9.e+]+), First inference: ([0-9.e+]+), "
    r"Warmup \(avg\): ([0-9.e+]+), Inference \(avg\): ([0-9.e+]+)\s*\n"
)
_FOOTPRINT = re.compile(r"Memory footprint delta from the start of the tool \(MB\): init=([0-9.]+) overall=([0-9.]+)")
_MICRO = 1e-6


@dataclass(frozen=True, slots=True)
class BenchmarkRun:
    """What one call of ``benchmark_model`` found.

    Attributes:
        latency_s: the run's figure in seconds.
        statistic: what that figure is: ``median``, or ``mean`` of an older program.
        count: inferences that were timed.
        load_s: seconds to load the model.
        first_inference_s: seconds of the first inference.
        min_s: fastest inference.
        max_s: slowest inference.
        std_s: standard deviation of the inferences.
        footprint_mb: memory that the program itself reports as taken by the model, roughly; none where it does not.
    """

    latency_s: float
    statistic: str
    count: int
    load_s: float
    first_inference_s: float
    min_s: float
    max_s: float
    std_s: float
    footprint_mb: float | None

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)


def benchmark_arguments(program: str, model: str, settings: MeasureSettings, runs: int) -> list[str]:
    """How to call it for one of several runs that share the settings' counts and times.

    Args:
        program: where it is on the phone.
        model: where the model is on the phone.
        settings: how to measure.
        runs: how many such runs there are.
    """
    return [
        program,
        f"--graph={model}",
        f"--num_threads={settings.threads}",
        f"--num_runs={math.ceil(settings.min_count / runs)}",
        f"--min_secs={settings.min_time_s / runs:g}",
        f"--max_secs={settings.max_time_s / runs:g}",
        "--warmup_runs=1",
        f"--warmup_min_secs={settings.min_warmup_s:g}",
        "--use_xnnpack=true",
    ]


def parse_benchmark(text: str) -> BenchmarkRun:
    """Read what it wrote.

    Raises:
        DeviceError: no whole report; the message holds its last words.
    """
    summary = _SUMMARY.search(text)
    rows = [row for line in text.splitlines() if "count" in (row := dict(_STATISTICS.findall(line)))]
    if summary is None or not rows:
        said = " | ".join([line.strip() for line in text.splitlines() if line.strip()][-4:]) or "nothing"
        raise DeviceError(f"benchmark_model gave no timings; its last words: {said}")
    load, first, _, mean = (float(value) * _MICRO for value in summary.groups())
    timed = {name: float(value) * _MICRO for name, value in rows[-1].items()}
    latency = timed.get("median", mean)
    if not (math.isfinite(latency) and latency > 0):
        raise DeviceError(f"benchmark_model reports {latency} s for an inference, which is no time")
    footprint = _FOOTPRINT.search(text)
    alone = "avg" not in timed  # it prints one value where all were the same
    return BenchmarkRun(
        latency_s=latency,
        statistic="median" if "median" in timed or alone else "mean",
        count=int(rows[-1]["count"]),
        load_s=load,
        first_inference_s=first,
        min_s=timed.get("min", latency),
        max_s=timed.get("max", latency),
        std_s=timed.get("std", 0.0),
        footprint_mb=float(footprint.group(2)) if footprint else None,
    )
