"""Reads what a run directory holds so far. A part whose stage has not run is left empty, a damaged file is an error."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from nas.candidate import ACCURACY, Candidate, latency_metric
from nas.errors import NasError
from nas.files import read_json, reading
from nas.report.members import read_members
from nas.report.results import Row, as_text, json_lines, read_result
from nas.report.rounds import read_rounds
from nas.report.shared import read_fleet, read_shared
from nas.report.values import Epoch, Pairs, Problem, RunData, Scores, Searched, Target
from nas.run_directory import STAGES, RunDirectory
from nas.visits import FLAGS, describe
from search_spaces import SpaceError

_SUPERSCRIPT = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def load(run_dir: Path) -> RunData:
    """Everything the report shows.

    Raises:
        NasError: no run directory, or a file in it that is damaged; the message names the file and its stage.
    """
    run = RunDirectory(run_dir)
    profile, confirmed = read_result(run, "profile") or {}, read_result(run, "confirm") or {}
    try:
        targets = tuple(_targets(run, profile, confirmed))
        members = read_members(run, confirmed)
        names = {member.key: member.name for member in members}
        return RunData(
            title=run_dir.resolve().name,
            subtitle=_subtitle(run),
            config_text=(run_dir / "config.yaml").read_text(encoding="utf-8"),
            targets=targets,
            members=members,
            searched=tuple(_searched(run)),
            scores=tuple(_scores(run)),
            epochs=tuple(_epochs(run_dir / "train" / "log.jsonl")),
            problems=tuple(_problems(profile, confirmed)),
            provenance=_provenance(run),
            measurements=_count_measured(profile, confirmed),
            limits={name: limit for name in _names(targets) if (limit := _limit(run, name)) is not None},
            rounds=tuple(read_rounds(run, names)),
            stopped=as_text(confirmed.get("stopped", "")),
            fleet=read_fleet(confirmed),
            shared=tuple(read_shared(confirmed, names, _names(targets))),
        )
    except (AttributeError, LookupError, OverflowError, TypeError, ValueError, SpaceError) as error:
        there = [str(run.result(stage)) for stage in STAGES[:-1] if run.is_done(stage)]
        raise NasError(
            f"{run_dir} holds results that this version cannot read ({error!r}); one of {', '.join(there)} is damaged: "
            "delete it and run its stage again"
        ) from error


def _names(targets: Sequence[Target]) -> list[str]:
    return [target.name for target in targets]


def _targets(run: RunDirectory, profile: Row, confirmed: Row) -> Iterator[Target]:
    described: Row = {**profile.get("targets", {}), **confirmed.get("targets", {})}
    rows = [*profile.get("rows", []), *(m for member in _confirmed_rows(confirmed) for m in member["measurements"])]
    for section in run.config.targets:
        row = described.get(section.name)
        if row is None:
            yield Target(section.name, section.device, section.format or "model", section.precision)
            continue
        found = [r["environment"] for r in rows if r["target"] == section.name]
        quality = [result["quality"][section.name] for result in (profile, confirmed) if "quality" in result]
        pairs = (
            *_device_pairs(row["device"]),
            *_setting_pairs(row["settings"]),
            *_moment_pairs(found),
            *_quality_pairs(quality),
        )
        simulated = row["device"]["kind"] == "simulated"
        yield Target(section.name, section.device, row["format"], row["precision"], pairs, simulated)


def _device_pairs(device: Row) -> Pairs:
    options = ", ".join(f"{name} {value}" for name, value in device["options"].items())
    pairs = (
        ("Processor", device["cpu"] if device["kind"] != "simulated" else "none: latencies are simulated"),
        ("Cores", str(device["cores"])),
        ("System", f"{device['system']} {device['machine']}"),
        ("Runtime", f"{device['runtime']} {device['runtime_version']}"),
        ("Options", options),
    )
    return tuple(pair for pair in pairs if pair[1])


def _setting_pairs(settings: Row) -> Pairs:
    return (
        ("Threads", str(settings["threads"])),
        ("Images at a time", str(settings["batch"])),
        ("Warm-up", f"at least {settings['min_warmup_s']:g} s"),
        (
            "Samples",
            f"at least {settings['min_count']} over {settings['min_time_s']:g} s, at most {settings['max_time_s']:g} s",
        ),
        *([("Median", f"sure to {settings['ci_width']:.1%}")] if settings.get("ci_width") else []),
    )


def _moment_pairs(environments: Sequence[Row]) -> Pairs:
    """What was found around the measurements: values that changed from one to the next as their range."""

    def span(name: str) -> str:
        values = sorted({str(environment[name]) for environment in environments if name in environment})
        return " to ".join(dict.fromkeys((values[0], values[-1]))) if values else ""

    pairs = (
        ("Measured (UTC)", span("time").replace("T", " ").replace("+00:00", "")),
        ("Load before", span("load_average_before")),
        ("Cores used", span("affinity")),
        ("Away from its core", _percent_span(environments, "away_share")),
        ("Clock governor", span("governor")),
        ("Clock (MHz)", span("clock_mhz_after")),
        ("Temperature (°C)", span("temperature_c_after")),
        ("Delegate", span("delegate")),
        ("Instruction sets", span("cpu_features")),
        ("Platform", span("platform")),
        ("Python", span("python")),
    )
    return tuple(pair for pair in pairs if pair[1])


def _percent_span(environments: Sequence[Row], name: str) -> str:
    shares = sorted(float(environment[name]) for environment in environments if name in environment)
    return f"{shares[0]:.1%} to {shares[-1]:.1%} of the time" if shares else ""


def _quality_pairs(summaries: Sequence[Row]) -> Pairs:
    """How well the passes of each stage agreed, and what spoke against the measurements."""
    texts = [describe(summary) for summary in summaries]
    return tuple((f"Quality{', confirmed' if number else ''}", text) for number, text in enumerate(texts))


def _searched(run: RunDirectory) -> Iterator[Searched]:
    names = [target.name for target in run.config.targets]
    path = run.path / "search" / "candidates.jsonl"
    for row in json_lines(path):
        with reading(path):
            candidate = Candidate.from_json(row)
        # A candidate that broke a cheap limit was never judged, and a predicted accuracy is no finding.
        if candidate.source(ACCURACY) == "evaluated":
            known = {name: candidate.metrics.get(latency_metric(name)) for name in names}
            latencies = {name: metric for name, metric in known.items() if metric is not None}
            seconds = {name: metric.value for name, metric in latencies.items()}
            sources = sorted({metric.source for metric in latencies.values()})
            yield Searched(candidate.arch.key, candidate.value(ACCURACY), seconds, " or ".join(sources))


def _scores(run: RunDirectory) -> Iterator[Scores]:
    """Scores of every predictor that was tried, also where none passed; the best of a target has its points."""
    for target, row in (read_result(run, "fit") or {"targets": {}})["targets"].items():
        pairs = tuple((point["measured_s"], point["predicted_s"]) for point in row["points"])
        for tried in row["candidates"]:
            best = tried["predictor"] == row["best"]
            used = tried["predictor"] == row["used"]
            verdict = "used" if used else "best, but fails its check" if best else "not the best"
            yield Scores(target, tried["predictor"], used, verdict, **tried["scores"], pairs=pairs if best else ())


def _epochs(path: Path) -> Iterator[Epoch]:
    for row in json_lines(path):
        with reading(path):
            smallest, largest = (row.get(f"validation_accuracy_{name}") for name in ("smallest", "largest"))
            epoch = Epoch(row["epoch"], row.get("loss"), smallest, largest)
        yield epoch


def _problems(profile: Row, confirmed: Row) -> Iterator[Problem]:
    for row in profile.get("rows", []):
        if row["error"] is not None:
            yield Problem("measurement failed", row["key"][:8], f"{row['target']}, profile", row["error"], row["key"])
    yield from _flagged("profile", profile.get("rows", []))
    for member in _confirmed_rows(confirmed):
        yield from _flagged("confirm", [{**row, "key": member["key"]} for row in member["measurements"]])
    for row in confirmed.get("dropped", []):
        yield Problem("dropped from the front", row["key"][:8], "confirm", row["why"], row["key"])


def _flagged(stage: str, rows: Sequence[Row]) -> Iterator[Problem]:
    """Measurements that something speaks against, as one problem each."""
    for row in rows:
        if row.get("flags"):
            why = "; ".join(FLAGS.get(as_text(flag), as_text(flag)) for flag in row["flags"])
            yield Problem("measured with doubts", row["key"][:8], f"{row['target']}, {stage}", why, row["key"])


def _confirmed_rows(confirmed: Row) -> list[Row]:
    return [row for part in ("members", "dominated", "dropped") for row in confirmed.get(part, [])]


def _count_measured(profile: Row, confirmed: Row) -> int:
    rows = [*profile.get("rows", []), *(m for row in _confirmed_rows(confirmed) for m in row["measurements"])]
    return len({(row["target"], row["sha256"]) for row in rows if row["error"] is None})


def _limit(run: RunDirectory, target: str) -> float | None:
    ends = [limit.at_most for limit in run.config.limits if limit.metric == latency_metric(target)]
    known = [end for end in ends if end is not None]
    return min(known) if known else None


def _subtitle(run: RunDirectory) -> str:
    config, size = run.config, run.config.make_space().size
    images = {"digits": "scikit-learn's digits", "cifar10": "CIFAR-10"}.get(config.data.source, "own images")
    return f"{config.space.name}, a space of {_count(size)} networks · {images} · seed {config.seed}"


def _count(size: int) -> str:
    """A number as people write it: 640,000, about 3.0 × 10⁸."""
    if size < 1_000_000:
        return f"{size:,}"
    digits, _, exponent = f"{size:.1e}".partition("e+")
    return f"about {digits} × 10{str(int(exponent)).translate(_SUPERSCRIPT)}"


def _provenance(run: RunDirectory) -> Pairs:
    pairs = [("Seed", str(run.config.seed))]
    split = run.path / "split.json"
    if split.is_file():
        row = read_json(split)
        with reading(split):
            counts = {name: len([*map(int, row[name])]) for name in ("train", "validation", "test", "calibration")}
            digest = as_text(row["data_digest"])
        parts = ", ".join(f"{count:,} {name}" for name, count in counts.items())
        pairs += [("Images", f"{parts} (the last are training images)"), ("Images' digest", digest)]
    trained = read_result(run, "train")
    if trained:
        pairs.append(("Supernet weights, SHA-256", str(trained["weights_sha256"])))
    cards = sorted((run.path / "export").glob("*/card.json"))
    if cards:
        with reading(cards[0]):
            versions = ", ".join(f"{name} {version}" for name, version in read_json(cards[0])["versions"].items())
        pairs.append(("Versions", versions))
    return tuple(pairs)
