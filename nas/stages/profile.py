"""Profile: build a spread of networks and measure each on every target, for the latency predictors to learn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from devices import Measurement
from nas.errors import NasError
from nas.files import read_json, reading, write_json
from nas.stages.context import Context
from nas.stages.measuring import measure_all
from nas.stages.targets import Target
from search_spaces import Architecture, macs

_POOL = 16
"""Architectures drawn for each that is chosen."""


def run(context: Context) -> None:
    """Measure the planned networks in random order, with a sentinel in between; see ``nas.campaign``.

    Raises:
        NasError: more than half of the measurements on a target failed.
    """
    plan, targets = _plan(context), {target.name: target for target in context.targets}
    with reading(context.path("profile", "plan.json")):
        networks = {row["key"]: context.architecture(row) for row in plan["networks"]}
        order = [(networks[key].key, targets[name].name) for key, name in plan["order"]]
    files = context.model_files("profile", context.target_variants, timed_only=True)
    context.progress.start("profile: model files", len(networks), "network")
    artifacts = {}
    for key, arch in networks.items():
        artifacts[key] = files.get(arch)
        context.progress.advance()
    measured = measure_all(context, "profile", order, artifacts)
    rows = [measurement_row(networks[key], targets[name], measured.measurements[key, name]) for key, name in order]
    for target in context.targets:
        _check_failures([row for row in rows if row["target"] == target.name], target.name)
    described = {name: target.describe() for name, target in targets.items()}
    write_json(context.run.result("profile"), {"targets": described, "quality": measured.quality, "rows": rows})
    # Measured, they have served; those that failed stay for whoever looks into it.
    failed = {row["key"] for row in rows if row["error"] is not None}
    for key, arch in networks.items():
        if key not in failed:
            files.discard(arch)


def measurement_row(arch: Architecture, target: Target, measurement: Measurement) -> dict[str, Any]:
    """One measurement in short; the raw samples are in the ledger.

    Latencies have the device's drift taken out; ``raw_median_s`` is as it was timed.
    """
    failed = measurement.error is not None
    return {
        "key": arch.key,
        "choices": list(arch.choices),
        "target": target.name,
        "sha256": measurement.artifact_sha256,
        "source": measurement.source,
        "median_s": None if failed else measurement.corrected_s(),
        "p90_s": None if failed else measurement.corrected_s(90),
        "p99_s": None if failed else measurement.corrected_s(99),
        "raw_median_s": None if failed else measurement.median_s,
        "drift": measurement.drift,
        "flags": list(measurement.flags),
        "count": len(measurement.latencies_s),
        "load_s": measurement.load_s,
        "first_inference_s": measurement.first_inference_s,
        "peak_memory_bytes": measurement.peak_memory_bytes,
        "energy_j": measurement.energy_j,
        "environment": dict(measurement.environment),
        "error": measurement.error,
    }


def _plan(context: Context) -> Any:  # noqa: ANN401 (JSON)
    """Which networks are measured and in which order; drawn once, then read."""
    path = context.path("profile", "plan.json")
    if not path.is_file():
        rng = context.rng("profile")
        chosen = _spread(context, rng)
        pairs = [(arch.key, target.name) for arch in chosen for target in context.targets]
        write_json(
            path,
            {
                "networks": [{"key": arch.key, "choices": list(arch.choices)} for arch in chosen],
                "order": [pairs[i] for i in rng.permutation(len(pairs))],
            },
        )
    return read_json(path)


def _spread(context: Context, rng: np.random.Generator) -> list[Architecture]:
    """The smallest and the largest architecture, and random ones evenly spread over the ranks of their MACs."""
    space, count = context.space, context.config.profile.networks
    ends = {arch.key: arch for arch in (space.canonical(space.smallest()), space.canonical(space.largest()))}
    drawn = {arch.key: arch for arch in space.architectures(space.sample_indices(rng, _POOL * count))}
    others = sorted((arch for key, arch in drawn.items() if key not in ends), key=lambda a: macs(space.lower(a)))
    wanted = min(count - len(ends), len(others))
    positions = ((np.arange(wanted) + 0.5) * len(others) / max(wanted, 1)).astype(int)
    return [*ends.values(), *(others[i] for i in positions)]


def _check_failures(rows: Sequence[Mapping[str, Any]], target: str) -> None:
    errors = [row["error"] for row in rows if row["error"] is not None]
    if 2 * len(errors) > len(rows):
        raise NasError(
            f"{len(errors)} of {len(rows)} measurements on target {target!r} failed, too many to go on. The first "
            f"error: {errors[0]}. See what the target lacks with `nas devices check`, then run `nas profile` again"
        )
