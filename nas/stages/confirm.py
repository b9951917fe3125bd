"""Confirm: build the members of the searched front as files, measure each on every target and judge the files.

What a predictor promised is not a result. The confirmed front holds what was measured.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from devices import Measurement
from nas.candidate import ACCURACY, Candidate, Metric
from nas.errors import NasError
from nas.files import read_json, reading, write_json
from nas.objective import explain_infeasible
from nas.pareto import ParetoFront
from nas.stages.context import Context
from nas.stages.judge import file_accuracy
from nas.stages.measuring import Measured, measure_all, measured_latency
from nas.stages.models import Artifacts, Variant
from nas.stages.profile import measurement_row
from nas.stages.targets import Target

Row = dict[str, Any]


def run(context: Context) -> None:
    """Confirm the members of the searched front.

    Raises:
        NasError: no member could be measured on every target and keeps every limit.
    """
    searched = context.run.result("search")
    with reading(searched):
        front = ParetoFront.from_json(read_json(searched))
        for member in front.members:
            context.space.validate(member.arch)
    members = spread(front.members, context.config.confirm.members)
    artifacts = _build(context, members)
    measured = _measure(context, members, artifacts)
    context.progress.start("confirm: accuracy of the files", len(members), "network")
    rows = []
    for member in members:
        on_targets = {target.name: measured.measurements[member.arch.key, target.name] for target in context.targets}
        rows.append(_judge(context, member, artifacts[member.arch.key], on_targets))
        context.progress.advance()
    write_json(context.run.result("confirm"), {**_select(context, rows), "quality": measured.quality})


def spread(members: Sequence[Candidate], count: int | None) -> list[Candidate]:
    """At most ``count`` members at even steps along the front, both ends included."""
    if count is None or count >= len(members):
        return list(members)
    return [members[i] for i in sorted({round(x) for x in np.linspace(0, len(members) - 1, count)})]


def variant_name(variant: Variant) -> str:
    """A kind of file in one word, such as ``onnx-int8``."""
    return "-".join(variant)


def _build(context: Context, members: Iterable[Candidate]) -> dict[str, Artifacts]:
    files = context.model_files("confirm", context.shipped_variants, with_weights=True)
    members = list(members)
    context.progress.start("confirm: model files", len(members), "network")
    artifacts = {}
    for member in members:
        artifacts[member.arch.key] = files.get(member.arch)
        context.progress.advance()
    return artifacts


def _measure(context: Context, members: Sequence[Candidate], artifacts: Mapping[str, Artifacts]) -> Measured:
    """Measurements of every member on every target, made in random order."""
    pairs = [(member.arch.key, target.name) for member in members for target in context.targets]
    order = [pairs[i] for i in context.rng("confirm").permutation(len(pairs))]
    return measure_all(context, "confirm", order, artifacts)


def _judge(context: Context, member: Candidate, artifacts: Artifacts, measured: Mapping[str, Measurement]) -> Row:
    """What was found out about a member; accuracies are read back if an earlier run judged the same files."""
    path = context.path("confirm", "members", f"{member.arch.key}.json")
    with reading(path):
        judged = read_json(path)["files"].items() if path.is_file() else ()
        known = {name: {"sha256": file["sha256"], "accuracy": float(file["accuracy"])} for name, file in judged}
    files: dict[str, Row] = {}
    for target in context.targets:
        artifact, name = artifacts[target.variant], variant_name(target.variant)
        if known.get(name, {}).get("sha256") == artifact.sha256:
            files[name] = known[name]
        elif name not in files:
            accuracy = file_accuracy(context, target.device, artifact, context.split.validation)
            files[name] = {"sha256": artifact.sha256, "accuracy": accuracy}
    row: Row = {
        **_confirmed(member, files, context.targets, measured).to_json(),
        "predicted": {name: metric.to_json() for name, metric in member.metrics.items()},
        "files": files,
        "measurements": [measurement_row(member.arch, t, measured[t.name]) for t in context.targets],
    }
    write_json(path, row)
    return row


def _confirmed(
    member: Candidate, files: Mapping[str, Row], targets: Sequence[Target], measured: Mapping[str, Measurement]
) -> Candidate:
    """The member with what was measured in the place of what was predicted.

    Its accuracy is that of its least accurate file: a network is as good as what is shipped to any target.
    """
    metrics = {name: metric for name, metric in member.metrics.items() if metric.source == "counted"}
    metrics[ACCURACY] = Metric(min(file["accuracy"] for file in files.values()), "1", "evaluated")
    for target in targets:
        measurement = measured[target.name]
        if measurement.error is None:
            metrics[target.metric] = measured_latency(measurement)
    return Candidate(member.arch, metrics)


def _select(context: Context, rows: Sequence[Row]) -> Row:
    """The confirmed front, the members that others beat, and those that were dropped and why.

    Raises:
        NasError: the front is empty.
    """
    problem = context.config.problem
    usable, dropped = [], []
    for row in rows:
        why = [f"{m['target']} could not measure it: {m['error']}" for m in row["measurements"] if m["error"]]
        if why:
            dropped.append({**row, "why": "; ".join(why)})
        else:
            usable.append(row)
    candidates = {row["key"]: Candidate.from_json(row) for row in usable}
    front = ParetoFront.of(list(candidates.values()), problem)
    if not front.members:
        reasons = [explain_infeasible(list(candidates.values()), problem)] if usable else [d["why"] for d in dropped]
        raise NasError(f"the confirmed front is empty: {'; '.join(reasons)}")
    feasible = {candidate.arch.key for candidate in problem.feasible(list(candidates.values()))}
    best = [member.arch.key for member in front.members]
    by_key = {row["key"]: row for row in usable}
    for key, candidate in candidates.items():
        if key not in feasible:
            broken = [limit.describe() for limit in problem.limits if limit.violation(candidate) > 0]
            dropped.append({**by_key[key], "why": f"as measured it breaks the limit {'; '.join(broken)}"})
    for row in dropped:
        context.progress.warn(f"network {row['key']} was dropped: {row['why']}")
    context.progress.note(f"confirm: {len(best)} networks on the front, {len(dropped)} dropped")
    return {
        **problem.to_json(),
        "targets": {target.name: target.describe() for target in context.targets},
        "members": [by_key[key] for key in best],
        "dominated": [by_key[key] for key in candidates if key in feasible and key not in best],
        "dropped": dropped,
    }
