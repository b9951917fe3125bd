"""A measured front against hand-made families: MobileNetV2 and MobileNetV3, trained alone, on the same runtimes.

The families are MobileNetV2 at five widths and MobileNetV3-Small and -Large at three. For images of 32 px their first
two strides are left out, so that they end with 4x4 features, as 224 px end with 7x7; nothing else is changed but the
classes. Each is trained alone by the recipe of a finished run, for as many epochs as its supernet had, and becomes INT8
files by the same writers, with statistics and ranges of the same images. Files of both sides are measured in random
order in one session. The front's members are the files that the run exported, without retraining. Accuracies are those
of the files, as their runtime computes them: on validation images to choose which member stands beside a hand-made
network, and on test images, which nothing was trained on or chosen by, to compare the two.

Training wants a GPU and measuring a quiet processor: `--train-only` stops between the two, and the folder of `--work`
may be moved to another machine there.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from common import ROOT, Options, arguments, write_results
from families_summary import OURS, charts, claims_of, compared, family_of, table
from sqlalchemy import URL
from trained import OneNetwork, Training, add_arguments, alone, stoppable, take_turns, work_folder

from devices import Artifact, MeasureSettings, get_device
from nas.cli.progress import ConsoleProgress
from nas.config import load_config
from nas.errors import NasError
from nas.export import FILE_NAMES, workload
from nas.files import read_json, write_json
from nas.ledger import Ledger
from nas.pipeline import run as run_pipeline
from nas.progress import Progress
from nas.report.png import write_png
from nas.run_directory import RunDirectory
from nas.stages.context import Context
from nas.stages.judge import RUNTIMES, file_accuracy
from nas.stages.measuring import Measured, run_campaign
from nas.stages.models import Artifacts, ModelFiles, Variant
from nas.stages.targets import Target
from search_spaces import Network, hand_made_networks, macs, parameters
from supernet import SubnetEvaluator, TrainData

VARIANTS: Mapping[str, Variant] = {"ort-int8": ("onnx", "int8"), "litert-int8": ("tflite", "int8")}
"""What is measured, by the name of the runtime that it is measured on."""
WIDTHS = (0.5, 0.75, 1.0)
"""Of MobileNetV3; those of MobileNetV2 are always the five of its authors."""

QUICK_NETWORKS = ("mobilenetv2_0.35", "mobilenetv3_small_0.5")
QUICK_MEASURE = MeasureSettings(min_warmup_s=0.02, min_time_s=0.05, max_time_s=0.1, min_count=10)
QUICK_RUN = (
    "data.limit=300",
    "space.options.depths=[1]",
    "train.epochs=1",
    "profile.networks=6",
    "predictor={folds: 3, min_spearman: -1, max_mape: 100, names: [block_table]}",
    "search={strategy: random, evaluations: 6, batch: 6}",
    "confirm={members: 2, rounds: 0}",
)


@dataclass(frozen=True)
class Contestant:
    """A network with its files; ``name`` is that of its family with a width, or of an exported member."""

    name: str
    network: Network
    artifacts: Artifacts

    @property
    def family(self) -> str:
        """``OURS``, or whose hand it was made by."""
        return family_of(self.name)


def hand_made(context: Context, work: Path, *, threads: int, quick: bool) -> dict[str, Training]:
    """The training of every hand-made network by its name, those of the fewest multiply-accumulates first."""
    named = hand_made_networks(
        classes=len(context.images.class_names),
        resolution=context.preprocessing.stored_size,
        mobilenetv3_widths=WIDTHS,
    )
    settings = replace(alone(context.config.train_settings), threads=threads)
    spaces = {name: OneNetwork(*of_name) for name, of_name in named.items() if name in QUICK_NETWORKS or not quick}
    by_cost = sorted(spaces, key=lambda name: macs(spaces[name].lower(spaces[name].largest())))
    return {name: Training(work / "networks" / name, spaces[name], settings) for name in by_cost}


def trained_files(context: Context, training: Training) -> Contestant:
    """The files of a network that was trained alone."""
    supernet = training.supernet().cpu()
    evaluator = SubnetEvaluator(supernet, context.images, context.preprocessing, *context.evaluation_images)
    files = ModelFiles(training.directory / "models", evaluator, context.int8_images, list(VARIANTS.values()))
    arch = training.space.largest()
    return Contestant(training.directory.name, training.space.lower(arch), files.get(arch))


def exported(context: Context) -> list[Contestant]:
    """The members that the run exported, their files as they are shipped."""
    found = []
    for name in read_json(context.run.result("export"))["members"]:
        folder = context.path("export", name)
        card = read_json(folder / "card.json")
        network = context.space.lower(context.architecture(card))
        channels, height, width = network.input.shape
        artifacts = {}
        for kind, precision in VARIANTS.values():
            file = FILE_NAMES[kind, precision]
            digest, shape = card["files"][file]["sha256"], (channels, height, width)
            artifacts[kind, precision] = Artifact(folder / file, kind, precision, shape, digest, workload(network))
        found.append(Contestant(f"{OURS}-{name}", network, artifacts))
    return found


def make_targets(settings: MeasureSettings) -> list[Target]:
    """Both runtimes of this machine.

    Raises:
        NasError: one cannot be used.
    """
    targets = [Target(name, get_device(RUNTIMES[kind[0]]), *kind, settings) for name, kind in VARIANTS.items()]
    for target in targets:
        if (reason := target.device.unavailable_reason()) is not None:
            raise NasError(f"{target.name} cannot be measured here: {reason}")
    return targets


def measure(context: Context, contestants: Sequence[Contestant], targets: Sequence[Target], work: Path) -> Measured:
    """Measure all files on both runtimes, in passes of random order each; what was measured before is found.

    Raises:
        NasError: a file could not be measured.
    """
    artifacts = {one.name: one.artifacts for one in contestants}
    pairs = [(name, target.name) for name in artifacts for target in targets]
    passes = range(context.config.profile.passes)
    orders = [[pairs[i] for i in context.rng("families", number).permutation(len(pairs))] for number in passes]
    context.progress.start("measuring", sum(map(len, orders)), "visit")
    ledger = URL.create("sqlite", database=str((work / "ledger.sqlite").resolve()))
    with contextlib.ExitStack() as stack:
        for target in targets:
            stack.callback(target.device.close)
        measured = run_campaign(
            stack.enter_context(Ledger(ledger)),
            targets,
            artifacts,
            orders,
            sentinels=work / "sentinel",
            on_visit=lambda _pair, visit: context.progress.advance(0 if visit is not None and visit.attempt else 1),
        )
    failed = [f"{pair}: {m.error}" for pair, m in measured.measurements.items() if not m.ok]
    if failed:
        raise NasError(f"not everything could be measured: {'; '.join(failed)}. The same command tries again")
    return measured


def judge(
    context: Context, contestants: Sequence[Contestant], targets: Sequence[Target], part: str, work: Path
) -> dict[tuple[str, str], float]:
    """Accuracies of all files on a part of the split, by contestant and target; kept, and found again."""
    path, indices = work / f"judged-{part}.json", getattr(context.split, part)
    images = f"{context.images.digest} {hashlib.sha256(indices.tobytes()).hexdigest()}"
    kept: dict[str, Any] = read_json(path) if path.is_file() else {}
    known: dict[str, float] = kept["accuracies"] if kept.get("images") == images else {}
    context.progress.start(f"judging files on {part} images", len(contestants) * len(targets), "file")
    found = {}
    for one in contestants:
        for target in targets:
            artifact = one.artifacts[target.variant]
            if artifact.sha256 not in known:
                known[artifact.sha256] = file_accuracy(context, target.device, artifact, indices)
                write_json(path, {"images": images, "accuracies": known})
            found[one.name, target.name] = known[artifact.sha256]
            context.progress.advance(detail=one.name)
    return found


def rows_of(
    contestants: Sequence[Contestant],
    targets: Sequence[Target],
    measured: Measured,
    accuracies: Mapping[str, Mapping[tuple[str, str], float]],
) -> list[dict[str, Any]]:
    """A row for every contestant on every target; ``accuracies`` by the part of the split."""
    rows = []
    for one in contestants:
        for target in targets:
            artifact, measurement = one.artifacts[target.variant], measured.measurements[one.name, target.name]
            rows.append(
                {
                    "network": one.name,
                    "family": one.family,
                    "target": target.name,
                    "macs": macs(one.network),
                    "parameters": parameters(one.network),
                    "pixels": one.network.input.shape[-1],
                    "bytes": artifact.path.stat().st_size,
                    "latency_ms": 1e3 * measurement.corrected_s(),
                    "latency_p90_ms": 1e3 * measurement.corrected_s(90),
                    "flags": list(measurement.flags),
                    **{f"{part}_accuracy": known[one.name, target.name] for part, known in accuracies.items()},
                }
            )
    return rows


def quick_run(folder: Path, progress: Progress) -> Path:
    """A finished run of seconds."""
    config = load_config(ROOT / "experiments" / "configs" / "digits_fake.yaml", overrides=QUICK_RUN)
    return run_pipeline(config, folder, progress=progress).path


def opened(path: Path, data: Path | None, progress: Progress) -> Context:
    """A finished run.

    Raises:
        NasError: it is none, or not finished.
    """
    run = RunDirectory(path, data=data)
    if not run.is_done("export"):
        raise NasError(f"{path} is not finished; `nas run {path / 'config.yaml'} --run-dir {path}` goes on with it")
    return Context(run, progress)


def compare(options: Options, context: Context, work: Path) -> None:
    """Train, measure and judge everything that is not there yet, and write the result."""
    given = options.extra
    threads = given.threads or context.config.threads
    torch.set_num_threads(threads)
    data = TrainData(context.images, context.split, context.preprocessing)
    trainings = {t.directory: t for t in hand_made(context, work, threads=threads, quick=options.quick).values()}
    take_turns(trainings, lambda folder: trainings[folder].make(data, context.progress))
    if given.train_only:
        print(f"trained {len(trainings)} networks; the same command without --train-only measures them")
        return
    load = {"other_load": round(os.getloadavg()[0], 1)} if hasattr(os, "getloadavg") else {}
    contestants = [*exported(context), *(trained_files(context, training) for training in trainings.values())]
    targets = make_targets(QUICK_MEASURE if options.quick else context.config.measure)
    measured = measure(context, contestants, targets, work)
    accuracies = {part: judge(context, contestants, targets, part, work) for part in ("validation", "test")}
    rows = compared(rows_of(contestants, targets, measured, accuracies))
    print(table(rows))
    about = {
        **load,
        "recipe": asdict(alone(context.config.train_settings)),
        "images": {name: len(getattr(context.split, name)) for name in ("train", "validation", "test")},
        "quality": measured.quality,
    }
    out = write_results(options, rows, claims_of(rows), extra_environment=about)
    for chart in charts(rows):
        write_png(chart, out.with_name(f"{out.stem}-{chart.name}.png"))


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--run-dir", type=Path, help="a finished run of experiments/configs/cifar10.yaml")
    parser.add_argument("--data", type=Path, help="where the run's images are, if they moved")
    parser.add_argument("--train-only", action="store_true", help="stop when the hand-made networks are trained")
    add_arguments(parser)
    options = arguments(__file__, (__doc__ or "").partition("\n")[0], parser, argv)
    run_dir = options.extra.run_dir
    if run_dir is None and not options.quick:
        parser.error("give --run-dir, a finished run of experiments/configs/cifar10.yaml")
    name = run_dir.resolve().name if run_dir else "quick"
    with stoppable(), work_folder(options, name) as work, ConsoleProgress() as progress:
        compare(options, opened(run_dir or quick_run(work / "run", progress), options.extra.data, progress), work)


if __name__ == "__main__":
    main()
