"""Accuracy predictors on 2,610 measured ImageNet accuracies of once-for-all's MobileNetV3 sub-networks.

A third of the networks, drawn once, was used to develop the predictors and to choose the settings of once-for-all's
perceptron; it is not used here. Of the others, each seed draws training networks, and the predictors are judged on
all that it does not draw. Every other setting is chosen by each predictor itself on its training networks.

The data: ``imagenet_accuracy.npz`` in ``--data`` (or in ``ofa/`` below it), by default HWNAS_DATA.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any, Literal

import numpy as np
from common import Claim, arguments, write_results
from numpy.typing import NDArray

from nas.accuracy import AccuracyPredictor, Encoded, Encoding, accuracy_predictor_names, get_accuracy_predictor, score
from search_spaces import Architecture, SearchSpace, get_space

SIZES = (25, 50, 100, 200, 500, 1000)
SEEDS = 10
OURS = "ensemble"
DEVELOPMENT_SEED, DEVELOPMENT = 20261121, 870
COVERAGE = 0.9

Row = dict[str, Any]


def load(path: Path, space: SearchSpace) -> tuple[list[Architecture], NDArray[np.float64]]:
    """Architectures and their top-1 accuracies, 0 to 1, without the development portion."""
    with np.load(path) as data:
        kept = np.sort(np.random.default_rng(DEVELOPMENT_SEED).permutation(len(data["top1"]))[DEVELOPMENT:])
        resolution, depth, kernel, expand = (data[name][kept] for name in ("resolution", "depth", "kernel", "expand"))
        top1 = data["top1"][kept]
    archs = []
    for row in range(len(kept)):
        options: dict[str, int | float] = {"resolution": int(resolution[row]), "width": 1.0}
        for stage in range(5):
            options[f"stages.{stage}.depth"] = int(depth[row, stage])
            for block in range(4):
                name, column = f"stages.{stage}.blocks.{block}", 4 * stage + block
                options[f"{name}.kernel"] = int(kernel[row, column])
                options[f"{name}.expansion"] = int(expand[row, column])
        archs.append(space.from_options(options))
    return archs, top1


class KnownEncoding:
    """Encodes networks that were encoded before: lowering them is nothing that the predictors differ in."""

    def __init__(self, archs: list[Architecture], encoded: Encoded) -> None:
        self._row = {arch.key: row for row, arch in enumerate(archs)}
        self._encoded = encoded

    def __call__(self, archs: Sequence[Architecture]) -> Encoded:
        """The encoded networks."""
        return self._encoded.take(np.array([self._row[arch.key] for arch in archs]))


class Finished:
    """Trials that are done; with a file, also those of an earlier run that was cut short."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        lines = path.read_text().splitlines() if path and path.is_file() else []
        self.rows: list[Row] = [json.loads(line) for line in lines if line.endswith("}")]

    def find(self, key: Row) -> Row | None:
        """The trial's figures, if it is done."""
        return next((row for row in self.rows if key.items() <= row.items()), None)

    def add(self, row: Row) -> None:
        """Keep a trial's figures."""
        self.rows.append(row)
        print("  ".join(f"{name} {value:.4g}" if name != "predictor" else str(value) for name, value in row.items()))
        if self._path:
            with self._path.open("a") as file:
                file.write(json.dumps(row) + "\n")


def trial(
    predictor: AccuracyPredictor, archs: list[Architecture], top1: NDArray[np.float64], train: NDArray[np.int64]
) -> dict[str, float]:
    """Fit one predictor and judge it on all networks that it did not see."""
    test = np.setdiff1d(np.arange(len(archs)), train)
    predictor.fit([archs[i] for i in train], top1[train])
    unseen = [archs[i] for i in test]
    scores = score(predictor.predict(unseen), top1[test])
    lower, upper = predictor.predict_interval(unseen, COVERAGE)
    inside = (lower <= top1[test]) & (top1[test] <= upper)
    return {
        "kendall": scores.kendall,
        "mae": scores.mae,
        "coverage": float(inside.mean()),
        "width": float((upper - lower).mean()),
    }


def summary(rows: list[Row], sizes: Sequence[int]) -> list[Row]:
    """Means over the seeds, printed as a table."""
    means: list[Row] = []
    for size in sizes:
        for name in accuracy_predictor_names():
            chosen = [row for row in rows if row["predictor"] == name and row["networks"] == size]
            columns = {m: float(np.mean([row[m] for row in chosen])) for m in ("kendall", "mae", "coverage", "width")}
            means.append({"predictor": name, "networks": size, "seeds": len(chosen), **columns})
            tau, mae, coverage, width = columns.values()
            print(
                f"{size:5d} networks  {name:9s}  tau {tau:.4f}  error {100 * mae:.3f} points  "
                f"90 % intervals hold {coverage:.1%}, width {100 * width:.2f} points"
            )
    return means


def claim(name: str, values: NDArray[np.float64], target: float, better: Literal["higher", "lower"]) -> Claim:
    """A claim about the mean over seeds."""
    return Claim(name, float(values.mean()), "", target, better, len(values), float(values.std()))


def claims_of(rows: list[Row], sizes: Sequence[int]) -> list[Claim]:
    """Ours against the best of the others at every size, by Kendall's tau and by error; and our coverage."""

    def values(name: str, size: int, measure: str) -> NDArray[np.float64]:
        return np.array([row[measure] for row in rows if row["predictor"] == name and row["networks"] == size], float)

    others = [name for name in accuracy_predictor_names() if name != OURS]
    claims = []
    for size in sizes:
        tau, mae, coverage = (values(OURS, size, measure) for measure in ("kendall", "mae", "coverage"))
        best = max(float(values(name, size, "kendall").mean()) for name in others)
        least = min(float(values(name, size, "mae").mean()) for name in others)
        at = f"{size} training networks"
        claims += [
            claim(f"Kendall tau, {at}, against the best other", tau, best, "higher"),
            claim(f"mean error, {at}, against the best other", mae, least, "lower"),
            claim(f"90 % intervals, {at}: least coverage asked for 87 %", coverage, COVERAGE - 0.03, "higher"),
            claim(f"90 % intervals, {at}: most coverage asked for 95 %", coverage, COVERAGE + 0.05, "lower"),
        ]
    return claims


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=os.environ.get("HWNAS_DATA"), help="folder of the data")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="how many draws of training networks")
    parser.add_argument("--mlp-seeds", type=int, help="draws for the perceptron, which takes as long as all others")
    parser.add_argument(
        "--resume", type=Path, help="file of finished trials; they are not run again, and new ones added"
    )
    options = arguments(__file__, (__doc__ or "").split("\n")[0], parser)
    if options.extra.data is None:
        parser.error("the place of imagenet_accuracy.npz is missing; give it with --data FOLDER or HWNAS_DATA")
    folder = Path(options.extra.data)
    path = next((p for p in (folder, folder / "ofa") if (p / "imagenet_accuracy.npz").is_file()), folder)
    seeds, sizes = (1, SIZES[:3]) if options.quick else (options.extra.seeds, SIZES)
    space = get_space("mobilenetv3")
    archs, top1 = load(path / "imagenet_accuracy.npz", space)
    known = KnownEncoding(archs, Encoding(space).encode(archs))
    finished = Finished(options.extra.resume)
    draws = dict.fromkeys(accuracy_predictor_names(), seeds)
    if options.extra.mlp_seeds and not options.quick:
        draws["mlp"] = options.extra.mlp_seeds
    wanted = [
        {"predictor": name, "networks": size, "seed": seed}
        for seed, size, name in product(range(max(draws.values())), sizes, draws)
        if seed < draws[name]
    ]
    for key in sorted(wanted, key=lambda key: key["predictor"] == "mlp"):
        if finished.find(key) is None:
            train = np.random.default_rng(key["seed"]).permutation(len(archs))[: key["networks"]]
            predictor = get_accuracy_predictor(key["predictor"], space)
            predictor.encoding.encode = known  # type: ignore[method-assign]
            finished.add({**key, **trial(predictor, archs, top1, train)})
    rows = [row for key in wanted if (row := finished.find(key))]
    means = summary(rows, sizes)
    write_results(options, [*means, *rows], claims_of(rows, sizes))


if __name__ == "__main__":
    main()
