"""Export: a folder for each confirmed network with its files, ready to ship, and a card that says what they are."""

from __future__ import annotations

import hashlib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from devices import Artifact, DeviceError, get_device
from nas.boards import board_row, describe_shortage
from nas.candidate import Candidate
from nas.errors import NasError
from nas.files import copy_file, read_json, reading, write_json
from nas.stages.context import Context
from nas.stages.expecting import spread
from nas.stages.fronts import united
from nas.stages.judge import RUNTIMES, file_accuracy
from nas.stages.models import WEIGHTS, Artifacts, ModelFiles
from nas.stages.shipped import fronts_on_card, shipped_fronts
from nas.stages.targets import Target
from search_spaces import Network, macs, parameters, peak_activation_bytes

_PACKAGES = ("hwnas", "torch", "onnx", "onnxruntime", "ai-edge-litert", "ai-edge-quantizer", "numpy")

_MEASURED = ("sha256", "median_s", "p90_s", "count", "source", "environment", "peak_memory_bytes")
"""What a card needs of a measurement."""

_ALSO = ("p99_s", "raw_median_s", "drift", "flags", "energy_j")
"""What it shows as well where the measurement has it; older ones do not."""

Row = dict[str, Any]


def run(context: Context) -> None:
    """Export the members of the confirmed front, and in a run for a fleet those of its fronts, fastest first.

    Raises:
        NasError: the files that were measured are not there any more.
    """
    path, first = context.run.result("confirm"), context.targets[0].metric
    with reading(path):
        confirmed = read_json(path)
        fronts = shipped_fronts(confirmed, fleet=context.config.fleet is not None)
        rows = {
            row["key"]: {**_checked(context, row), "card": fronts_on_card(confirmed, row["key"])}
            for front in fronts
            for row in front
        }
        members = {key: Candidate.from_json(row) for key, row in rows.items()}
        by_speed = [sorted((members[row["key"]] for row in front), key=lambda m: m.value(first)) for front in fronts]
    kept = united(spread(front, context.config.export.count) for front in by_speed)
    chosen = sorted(kept, key=lambda member: member.value(first))
    names = [f"{position:02d}-{member.arch.key[:8]}" for position, member in enumerate(chosen, 1)]
    files = context.model_files("confirm", context.shipped_variants, with_weights=True)
    context.progress.start("export", len(chosen), "network")
    for name, member in zip(names, chosen, strict=True):
        if not _is_exported(context.path("export", name), rows[member.arch.key]):
            _export(context, name, rows[member.arch.key], files)
        context.progress.advance(detail=name)
    write_json(context.run.result("export"), {"members": names})


def _checked(context: Context, row: Row) -> Row:
    """A confirmed row whose every value that is used below is there; ``measurements`` become a mapping by target."""
    context.architecture(row)
    found = {
        m["target"]: {name: m[name] for name in _MEASURED} | {name: m[name] for name in _ALSO if name in m}
        for m in row["measurements"]
    }
    expected = {target.name: row["predicted"].get(target.metric) for target in context.targets}
    return {
        **row,
        "measurements": {target.name: found[target.name] for target in context.targets},
        "predicted_s": {
            name: metric["value"] if metric is not None and metric["source"] == "predicted" else None
            for name, metric in expected.items()
        },
    }


def _is_exported(folder: Path, row: Row) -> bool:
    """Whether a folder that is there is whole, and its card tells of these measurements and not of earlier ones."""
    if not (folder / "card.json").is_file():
        return False
    try:
        card = read_json(folder / "card.json")
        told = {target: (latency["median_s"], latency["p90_s"]) for target, latency in card["latency"].items()}
        whole = all(_digest(folder / name) == file["sha256"] for name, file in card["files"].items())
    except (NasError, OSError, AttributeError, KeyError, TypeError):
        return False
    measured = {target: (m["median_s"], m["p90_s"]) for target, m in row["measurements"].items()}
    same = all(card.get(name) == value for name, value in row["card"].items())
    return whole and same and card.get("key") == row["key"] and told == measured


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _export(context: Context, name: str, row: Row, files: ModelFiles) -> None:
    arch = context.architecture(row)
    artifacts = files.get(arch)
    _check_same(row, artifacts, context.targets)
    folder = context.path("export", name)
    for artifact in artifacts.values():
        copy_file(artifact.path, folder / artifact.path.name)
    copy_file(files.folder(arch) / WEIGHTS, folder / WEIGHTS)
    network = context.space.lower(arch)
    write_json(
        folder / "card.json",
        {
            "name": name,
            "key": arch.key,
            "space": arch.space,
            "choices": list(arch.choices),
            "options": context.space.options_of(arch),
            "class_names": list(context.images.class_names),
            "preprocessing": context.preprocessing.to_json(),
            "input_shape": list(network.input.shape),
            **_counts(network),
            "files": _files(folder, artifacts),
            "accuracy": {a.path.name: _accuracy(context, _moved(a, folder)) for a in artifacts.values()},
            **_boards(context, network, _moved(artifacts["tflite", "int8"], folder)),
            "latency": {target.name: _latency(context, target, row, artifacts) for target in context.targets},
            **row["card"],
            "data_split_sha256": _digest(context.path("split.json")),
            "versions": _versions(),
        },
    )


def _check_same(row: Row, artifacts: Artifacts, targets: tuple[Target, ...]) -> None:
    """Check that the files are those that were measured."""
    for target in targets:
        found, measured = artifacts[target.variant].sha256, row["measurements"][target.name]["sha256"]
        if found != measured:
            raise NasError(
                f"{artifacts[target.variant].path} is not the file that was measured on {target.name!r} (sha256 "
                f"{found[:12]}…, measured {str(measured)[:12]}…): delete confirm/front.json and run "
                "`nas confirm` again"
            )


def _counts(network: Network) -> Row:
    return {
        "macs": macs(network),
        "parameters": parameters(network),
        "peak_activation_bytes": {
            "float32": peak_activation_bytes(network, 32),
            "int8": peak_activation_bytes(network, 8),
        },
    }


def _boards(context: Context, network: Network, artifact: Artifact) -> Row:
    """What the network takes of every board of the config; nothing where there are none."""
    rows = {board.name: board_row(board, network, artifact) for board in context.config.boards}
    for name, row in rows.items():
        if shortage := describe_shortage(name, row, artifact.path):
            context.progress.warn(shortage)
    return {"boards": rows} if rows else {}


def _files(folder: Path, artifacts: Artifacts) -> Row:
    rows = {
        artifact.path.name: {"format": artifact.format, "precision": artifact.precision, "sha256": artifact.sha256}
        for artifact in artifacts.values()
    }
    rows[WEIGHTS] = {"format": "safetensors", "precision": "float32", "sha256": _digest(folder / WEIGHTS)}
    return {name: {**row, "bytes": (folder / name).stat().st_size} for name, row in rows.items()}


def _moved(artifact: Artifact, folder: Path) -> Artifact:
    """The exported copy; opening it checks that it has the same digest."""
    return Artifact(
        folder / artifact.path.name,
        artifact.format,
        artifact.precision,
        artifact.input_shape,
        artifact.sha256,
        artifact.workload,
    )


def _accuracy(context: Context, artifact: Artifact) -> Row:
    """Accuracy on the test images, which neither training nor selection has seen."""
    device = get_device(RUNTIMES[artifact.format])
    info = device.info()
    row: Row = {
        "value": None,
        "images": len(context.split.test),
        "split": "test",
        "source": "evaluated",
        "runtime": f"{info.runtime} {info.runtime_version}",
    }
    try:
        return {**row, "value": file_accuracy(context, device, artifact, context.split.test)}
    except DeviceError as error:
        context.progress.warn(f"the accuracy of {artifact.path} is not known: {error}")
        return {**row, "why": str(error)}


def _latency(context: Context, target: Target, row: Row, artifacts: Artifacts) -> Row:
    measurement, info = row["measurements"][target.name], target.device.info()
    return {
        "file": artifacts[target.variant].path.name,
        **{name: value for name, value in measurement.items() if name != "sha256"},
        **({"source": "simulated"} if info.kind == "simulated" else {}),
        "device": info.to_json(),
        "settings": target.describe()["settings"],
        "predicted_s": row["predicted_s"][target.name],
    }


def _versions() -> dict[str, str]:
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "missing"
    return versions
