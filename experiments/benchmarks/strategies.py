"""Training strategies at equal compute: sub-networks of each supernet against the same networks trained alone.

Compute is counted in multiply-accumulates of the plans, forward passes once and backward passes twice, for all alike.
The budget is what the config's own recipe takes; every strategy gets as many epochs as fit in it, and DεpS also what
fits in half of what progressive shrinking took. The best strategy, by validation images, is compared with its
sub-networks trained alone for as many epochs as it had. All figures are on test images.
"""

from __future__ import annotations

import argparse
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from cifar10 import CONFIG, default_data
from common import RESULTS, ROOT, Options, arguments, write_results
from numpy.typing import NDArray
from strategies_summary import DEPS, HALF, RECIPE, SHRINKING, Found, best, claims_of, rows_of, table
from trained import PLAIN, OneNetwork, Training, add_arguments, alone, stoppable, take_turns, work_folder

from nas.cli.progress import ConsoleProgress
from nas.config import Config, load_config
from nas.files import read_json, write_json
from nas.progress import Progress
from search_spaces import Architecture, SearchSpace
from supernet import (
    SubnetEvaluator,
    TrainData,
    TrainSettings,
    epochs_within,
    strategy_names,
    training_macs,
    weights_digest,
)
from supernet.data import load_images, make_split, measure_preprocessing

_COUNTED_STEPS = 400


@dataclass(frozen=True)
class Scale:
    """How large a comparison is.

    Attributes:
        overrides: of the config.
        seeds: of training, by default.
        networks: random sub-networks.
        config: whose space, images and recipe are used.
        options: of strategies.
    """

    overrides: tuple[str, ...]
    seeds: int
    networks: int = 20
    config: Path = CONFIG
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


ONCE_FOR_ALL = (
    "space={name: mobilenetv3_32, options: {classes: 10, kernels: [3, 5], activation: relu, squeeze_excite: false,"
    " resolutions: [20, 24, 28, 32]}}",
    "train.epochs=26",
    "train.learning_rate=0.2",
    "train.weight_decay=3.0e-4",
    "train.solo_share=0.42",
)
"""The space whose kernels, depths and expansions the strategies were made to shrink, and a recipe that suits it."""

SCALES = {
    # More test images than the config keeps: networks of nearly one accuracy are to be put in order.
    "real": Scale(("split={validation: 0.04, test: 0.16, calibration: 512}", *ONCE_FOR_ALL), seeds=1),
    "small": Scale(
        (
            "data.limit=20000",
            "split={validation: 0.1, test: 0.3, calibration: 512}",
            *ONCE_FOR_ALL,
            "space.options.resolutions=[16, 20]",
            "space.options.widths=[0.5, 0.75]",
            "space.options.expansions=[2, 3]",
            "space.options.depths=[1, 2]",
            "train.epochs=15",
        ),
        seeds=3,
    ),
}
QUICK = Scale(
    (
        "data.limit=200",
        "split={validation: 0.2, test: 0.4, calibration: 32}",
        "space.options={classes: 10, resolutions: [6, 8], widths: [0.5, 0.75, 1], kernels: [3], expansions: [2],"
        " depths: [1]}",
        "train={epochs: 4, batch_size: 40, learning_rate: 0.1, warmup_epochs: 0.5, crop_padding: 1, flip: false,"
        " solo_share: 0.5, grow_resolution: true, random_subnets: 1}",
    ),
    seeds=2,
    networks=3,
    config=ROOT / "experiments" / "configs" / "digits_fake.yaml",
    options={"attentive": {"candidates": 2, "bins": 1}},
)


class Bench:
    """One comparison: space, images and sub-networks, which are the same for all strategies and seeds.

    Args:
        config: space, images and recipe.
        scale: number of sub-networks, and options of strategies.
        work: folder of all trainings.
        progress: listener.
    """

    def __init__(self, config: Config, scale: Scale, work: Path, progress: Progress) -> None:
        self.config, self.scale, self.work, self.progress = config, scale, work, progress
        self.space: SearchSpace = config.make_space()
        images, split = load_images(config.data), config.split
        parts = make_split(
            images.labels,
            validation=split.validation,
            test=split.test,
            calibration=split.calibration,
            seed=config.seed,
        )
        self.data = TrainData(images, parts, measure_preprocessing(images.images, parts.train))
        self.archs = subnetworks(self.space, self.scale.networks)

    def planned(self) -> dict[str, tuple[TrainSettings, int]]:
        """By name every training of a supernet, without its seed, and its multiply-accumulates; counted once."""
        path, images = self.work / "plan.json", len(self.data.split.train)
        asked = variants(self.config.train_settings, self.scale.options)
        settings = {name: asdict(replace(one, threads=0)) for name, one in asked.items()}
        # As JSON gives it back: without tuples.
        identity = json.loads(json.dumps({"space": self.space.name, "images": images, "settings": settings}))

        def count(_folder: Path) -> None:
            if path.is_file() and read_json(path)["of"] == identity:
                return
            self.progress.note("counting what every strategy takes; with large spaces this takes minutes")
            counted = equal_compute(self.space, asked, images)
            epochs = {name: {"epochs": one.epochs, "macs": taken} for name, (one, taken) in counted.items()}
            write_json(path, {"of": identity, "trainings": epochs})

        take_turns([self.work], count)
        known = read_json(path)["trainings"]
        return {
            name: (with_epochs(asked[DEPS if name == HALF else name], row["epochs"]), row["macs"])
            for name, row in known.items()
        }

    def judged(self, trainings: Sequence[Training]) -> list[NDArray[np.float64]]:
        """Accuracies on validation and test images, shape ``(networks, 2)``, of what is trained here if need be."""
        by_folder = {training.directory: training for training in trainings}
        take_turns(by_folder, lambda folder: self._judge(by_folder[folder]))
        return [np.array(read_json(t.directory / "accuracies.json")["accuracies"]) for t in trainings]

    def _judge(self, training: Training) -> None:
        training.make(self.data, self.progress)
        archs = [training.space.largest()] if isinstance(training.space, OneNetwork) else self.archs
        split, path = self.data.split, training.directory / "accuracies.json"
        parts = (split.validation, split.test)
        identity = {
            "weights": weights_digest(training.directory),
            "images": [zlib.crc32(part.tobytes()) for part in parts],
            "networks": [arch.key for arch in archs],
        }
        if path.is_file() and read_json(path)["of"] == identity:
            return
        supernet = training.supernet()
        evaluators = [
            SubnetEvaluator(supernet, self.data.images, self.data.preprocessing, split.calibration, part)
            for part in parts
        ]
        self.progress.start("/".join(training.directory.parts[-2:]), len(archs), "sub-network")
        rows = []
        for arch in archs:
            rows.append([evaluator.accuracy(arch) for evaluator in evaluators])
            self.progress.advance()
        write_json(path, {"of": identity, "accuracies": rows})


def subnetworks(space: SearchSpace, count: int) -> list[Architecture]:
    """The smallest, the largest and so many random sub-networks; fewer where a space has fewer."""
    ends = [space.smallest(), space.largest()]
    drawn = space.architectures(space.sample_indices(np.random.default_rng(0), 4 * count))
    return list(dict.fromkeys([*ends, *drawn]))[: count + 2]


def variants(recipe: TrainSettings, options: Mapping[str, Mapping[str, Any]]) -> dict[str, TrainSettings]:
    """The config's own recipe, and every strategy as its paper has it with the same recipe otherwise, by name."""
    made = {RECIPE: recipe}
    for name in strategy_names():
        made[name] = replace(recipe, strategy=name, options=options.get(name, {}), **PLAIN)
    return made


def equal_compute(
    space: SearchSpace, asked: Mapping[str, TrainSettings], images: int
) -> dict[str, tuple[TrainSettings, int]]:
    """Each with as many epochs as fit in the budget, and DεpS once more for half of what shrinking takes.

    Args:
        space: whose networks are trained.
        asked: trainings by name; the budget is what ``RECIPE`` takes.
        images: number of training images.
    """

    def cost(settings: TrainSettings) -> int:
        return training_macs(space, settings, images, steps=_COUNTED_STEPS)

    def within(budget: float, settings: TrainSettings) -> tuple[TrainSettings, int]:
        found = with_epochs(settings, epochs_within(budget, space, settings, images))
        return found, cost(found)

    budget = cost(asked[RECIPE])
    planned = {name: within(budget, settings) for name, settings in asked.items()}
    return {**planned, HALF: within(planned[SHRINKING][1] / 2, asked[DEPS])}


def with_epochs(settings: TrainSettings, epochs: int) -> TrainSettings:
    """The same training, of another length."""
    return replace(settings, epochs=epochs, warmup_epochs=min(settings.warmup_epochs, epochs))


def compare(bench: Bench, seeds: int) -> Found:
    """Train and judge everything that is not there yet."""
    planned = bench.planned()
    runs = [
        (name, Training(bench.work / name / f"seed-{seed}", bench.space, replace(settings, seed=seed)))
        for seed in range(seeds)
        for name, (settings, _) in planned.items()
    ]
    supernets: dict[str, list[NDArray[np.float64]]] = {name: [] for name in planned}
    for (name, _), accuracies in zip(runs, bench.judged([training for _, training in runs]), strict=True):
        supernets[name].append(accuracies)
    judged = {name: np.stack(of_seeds) for name, of_seeds in supernets.items()}
    epochs = planned[best(judged)][0].epochs
    recipe = with_epochs(alone(bench.config.train_settings), epochs)
    folder = bench.work / f"alone-{epochs}-epochs"
    lonely = [
        Training(folder / f"{arch.key}-{seed}", OneNetwork(bench.space, arch), replace(recipe, seed=seed))
        for seed in range(seeds)
        for arch in bench.archs
    ]
    singles = np.array(bench.judged(lonely)).reshape(seeds, len(bench.archs), 2)
    trainings = {name: {"epochs": settings.epochs, "macs": macs} for name, (settings, macs) in planned.items()}
    return Found(trainings, judged, singles)


def parse(argv: Sequence[str] | None) -> Options:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=default_data(), help="train.tar.gz, a folder a class")
    parser.add_argument("--scale", choices=list(SCALES), default="small", help="how large (default: small)")
    parser.add_argument("--seeds", type=int, help="default: 3 at the small scale, 1 at the real one")
    parser.add_argument("--set", action="append", default=[], metavar="KEY.PATH=VALUE", help="as of `nas run`")
    add_arguments(parser)
    options = arguments(__file__, (__doc__ or "").partition("\n")[0], parser, argv)
    if options.quick or options.extra.out is not None:
        return options
    return replace(options, out=RESULTS / f"{options.name}_{options.extra.scale}.json")


def main(argv: Sequence[str] | None = None) -> None:
    options = parse(argv)
    given, scale = options.extra, QUICK if options.quick else SCALES[options.extra.scale]
    if not options.quick and not given.data.is_file():
        print(f"skipped: {given.data.name} is not there; give its place with --data or HWNAS_DATA")
        return
    threads = [f"threads={given.threads}"] if given.threads else []
    with stoppable(), work_folder(options, given.scale) as work, ConsoleProgress() as progress:
        overrides = (*scale.overrides, *given.set, *threads)
        config = load_config(scale.config, data=None if options.quick else given.data, overrides=overrides)
        bench = Bench(config, scale, work, progress)
        found = compare(bench, given.seeds or scale.seeds)
        print(table(found))
        networks = [(arch, bench.space.lower(arch)) for arch in bench.archs]
        about = {"scale": "quick" if options.quick else given.scale, "space": bench.space.name}
        images = {name: len(getattr(bench.data.split, name)) for name in ("train", "validation", "test")}
        extra = {**about, "images": images, "recipe": asdict(config.train)}
        write_results(options, rows_of(found, networks), claims_of(found), extra_environment=extra)


if __name__ == "__main__":
    main()
