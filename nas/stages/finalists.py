"""Finalists: networks that are built as files, measured on every target and judged by their files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from devices import Measurement
from nas.candidate import ACCURACY, Candidate, Metric
from nas.files import read_json, reading, write_json
from nas.stages.context import Context
from nas.stages.judge import file_accuracy
from nas.stages.measuring import Measured, measure_all, measured_latency
from nas.stages.models import Artifacts, Variant
from nas.stages.profile import measurement_row
from nas.stages.targets import Target

Row = dict[str, Any]


def confirm_finalists(
    context: Context, members: Sequence[Candidate], rng: np.random.Generator
) -> tuple[list[Row], Mapping[str, Row]]:
    """What was found out about each network, also kept in ``confirm/members``, and how good the measurements are.

    Args:
        context: the run.
        members: with what was predicted of each.
        rng: decides the order of measuring.

    Raises:
        ExportError: a file cannot be written or quantised.
        NasError: a ledger that cannot be used.
    """
    if not members:
        return [], {}
    artifacts = _build(context, members)
    measured = _measure(context, members, artifacts, rng)
    context.progress.start("confirm: accuracy of the files", len(members), "network")
    rows = []
    for member in members:
        on_targets = {target.name: measured.measurements[member.arch.key, target.name] for target in context.targets}
        rows.append(_judge(context, member, artifacts[member.arch.key], on_targets))
        context.progress.advance()
    return rows, measured.quality


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


def _measure(
    context: Context, members: Sequence[Candidate], artifacts: Mapping[str, Artifacts], rng: np.random.Generator
) -> Measured:
    """Measurements of every member on every target, made in random order."""
    pairs = [(member.arch.key, target.name) for member in members for target in context.targets]
    order = [pairs[i] for i in rng.permutation(len(pairs))]
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
