"""Reads the networks of a run: those that were measured, or those that the search chose if none was."""

from __future__ import annotations

from pathlib import Path

from nas.candidate import ACCURACY, latency_metric
from nas.files import read_json, reading
from nas.report.results import Row, as_text, read_result
from nas.report.values import Latency, Member, ModelFile
from nas.run_directory import RunDirectory
from search_spaces import Architecture, SearchSpace, macs, parameters, peak_activation_bytes


def read_members(run: RunDirectory, confirmed: Row) -> tuple[Member, ...]:
    """Confirmed networks, fastest on the first target first; without any, those of the searched front."""
    space = run.config.make_space()
    targets = [target.name for target in run.config.targets]
    if not confirmed:
        searched = read_result(run, "search") or {"members": []}
        rows = [{**row, "predicted": row["metrics"], "measurements": [], "files": {}} for row in searched["members"]]
        members = [_member(space, targets, row, {}) for row in rows]
    else:
        cards = dict(map(_card, sorted((run.path / "export").glob("*/card.json"))))
        members = [_member(space, targets, row, cards.get(row["key"], {})) for row in confirmed["members"]]
        members += [
            _member(space, targets, row, cards.get(row["key"], {}), on_front=False) for row in confirmed["dominated"]
        ]
    return tuple(sorted(members, key=lambda member: _speed(member, targets[0])))


def _card(path: Path) -> tuple[str, Row]:
    """A network's key and its card, as far as it is shown."""
    card = read_json(path)
    with reading(path):
        files = {
            name: {part: file[part] for part in ("format", "precision", "bytes", "sha256")}
            for name, file in card["files"].items()
        }
        accuracy = {name: {"value": row["value"]} for name, row in card["accuracy"].items()}
        return as_text(card["key"]), {"name": as_text(card["name"]), "files": files, "accuracy": accuracy}


def _speed(member: Member, target: str) -> tuple[bool, float]:
    latency = member.latency(target)
    return not member.on_front, latency.median_s or latency.predicted_s or 0.0


def _member(space: SearchSpace, targets: list[str], row: Row, card: Row, *, on_front: bool = True) -> Member:
    arch = Architecture(space.name, tuple(row["choices"]))
    network = space.lower(arch)
    measured = {m["target"]: m for m in row["measurements"]}
    return Member(
        key=row["key"],
        name=card.get("name", row["key"][:8]),
        options=tuple((name, f"{option}") for name, option in space.options_of(arch).items()),
        input_px=network.input.shape[-1],
        macs=macs(network),
        parameters=parameters(network),
        peak_activation_bytes=peak_activation_bytes(network, 8),
        accuracy=_value(row["predicted"].get(ACCURACY)),
        latencies={name: _latency(row, measured.get(name, {}), name) for name in targets},
        files=_files(row, card),
        on_front=on_front,
    )


def _latency(row: Row, measured: Row, target: str) -> Latency:
    expected = row["predicted"].get(latency_metric(target))
    predicted = _value(expected) if expected and expected["source"] == "predicted" else None
    return Latency(measured.get("median_s"), measured.get("p90_s"), predicted, measured.get("error"))


def _files(row: Row, card: Row) -> tuple[ModelFile, ...]:
    """The exported files with both accuracies; before the export those that were judged."""
    judged = row["files"]
    if not card:
        variants = [(name, *name.split("-"), file) for name, file in judged.items()]
        return tuple(
            ModelFile(name, form, precision, validation=file["accuracy"], sha256=file["sha256"])
            for name, form, precision, file in variants
        )
    return tuple(
        ModelFile(
            name,
            file["format"],
            file["precision"],
            file["bytes"],
            judged.get(f"{file['format']}-{file['precision']}", {}).get("accuracy"),
            card["accuracy"].get(name, {}).get("value"),
            file["sha256"],
        )
        for name, file in card["files"].items()
    )


def _value(metric: Row | None) -> float | None:
    return None if metric is None else float(metric["value"])
