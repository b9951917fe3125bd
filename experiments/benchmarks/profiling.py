"""How many networks a minute are written, quantised, loaded, measured and stored, beside the stock converters."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import logging
import os
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from common import Claim, arguments, write_results
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from devices import Artifact, Measurement, MeasureSettings, get_device
from nas.export import export_artifacts, known_ranges, workload
from nas.export.artifacts import Variant
from nas.ledger import Ledger
from nas.stages.lent import Lent
from nas.stages.measuring import Measured, run_campaign
from nas.stages.targets import Target
from search_spaces import Network, get_space
from supernet import NormStatistics, Supernet, estimate_statistics

VARIANTS: tuple[Variant, ...] = (("onnx", "float32"), ("onnx", "int8"), ("tflite", "float32"), ("tflite", "int8"))
RUNTIMES = {"onnx": "onnxruntime_cpu", "tflite": "litert_cpu"}
SPACES = {"mobilenetv3_32": 32, "mobilenetv3": 224}
CALIBRATION_IMAGES, PASSES = 64, 2
Artifacts = dict[str, dict[Variant, Artifact]]


@dataclass
class Calibrated:
    """What ``Lent`` needs of an evaluator: a supernet, here untrained, and statistics on random images."""

    supernet: Supernet
    images: torch.Tensor

    def statistics(self, network: Network) -> NormStatistics:
        """Batch-norm statistics of a network."""
        return estimate_statistics(self.supernet, network, [self.images])


@dataclass
class Maker:
    """Draws networks of a space at its largest resolution, and writes their files as `nas profile` does."""

    name: str
    folder: Path
    images: torch.Tensor = field(init=False)

    def __post_init__(self) -> None:
        """Make an untrained supernet; time does not depend on what is learnt."""
        pixels = SPACES[self.name]
        self.space = get_space(self.name, {"resolutions": [pixels]})
        generator = torch.Generator().manual_seed(0)
        self.images = torch.randn(CALIBRATION_IMAGES, 3, pixels, pixels, generator=generator)
        self._evaluator = Calibrated(Supernet(self.space, seed=0), self.images[:16])

    def networks(self, count: int) -> dict[str, Network]:
        """So many different networks by name."""
        indices = self.space.sample_indices(np.random.default_rng(0), count)
        return {f"{i:03d}": self.space.lower(arch) for i, arch in enumerate(self.space.architectures(indices))}

    def lent(self, variants: Sequence[Variant]) -> Lent:
        """Statistics and ranges of the largest network, not computed yet."""
        return Lent(self._evaluator, self.images, variants)  # type: ignore[arg-type]

    def write(self, networks: dict[str, Network], variants: Sequence[Variant]) -> Artifacts:
        """Files that are only timed."""
        lent = self.lent(variants)
        return {
            key: dict(export_artifacts(network, lent.weights(network), self.folder / key, lent.ranges, variants))
            for key, network in networks.items()
        }


def main() -> None:
    options = arguments(__file__, __doc__ or "")
    torch.set_num_threads(1)
    load = {"other_load": round(os.getloadavg()[0], 1)} if hasattr(os, "getloadavg") else {}
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        for space, pixels in SPACES.items():
            count, compared = (3, 2) if options.quick else (60, 20) if pixels == 32 else (20, 20)
            settings = MeasureSettings(max_time_s=1.0) if options.quick else MeasureSettings()
            variants = VARIANTS if pixels == 32 or not options.quick else VARIANTS[1:2]
            for variant in variants:
                folder = Path(name) / f"{space}-{'-'.join(variant)}"
                rows.append(profile_row(Maker(space, folder), variant, count, settings))
                print_row(rows[-1])
            for variant in VARIANTS[:2] if pixels == 32 or not options.quick else ():
                folder = Path(name) / f"{space}-{variant[1]}-stock"
                rows.append(stock_row(Maker(space, folder), variant, compared, settings))
                print_row(rows[-1])
    rows.append({"by": "stock", "file": "tflite", "networks": 0, "why": stock_tflite()})
    write_results(options, rows, make_claims(rows), extra_environment=load)


def target(variant: Variant, settings: MeasureSettings) -> Target:
    """The runtime of this format on this machine."""
    return Target("device", get_device(RUNTIMES[variant[0]]), *variant, settings)


def campaign(folder: Path, where: Target, artifacts: Artifacts) -> tuple[Measured, list[Measurement]]:
    """Measure files in random order in two passes; the whole measurements, and every visit."""
    rng, pairs = np.random.default_rng(0), [(key, where.name) for key in artifacts]
    orders = [[pairs[i] for i in rng.permutation(len(pairs))] for _ in range(PASSES)]
    with contextlib.closing(where.device), Ledger(f"sqlite:///{folder / 'ledger.sqlite'}") as ledger:
        measured = run_campaign(ledger, [where], artifacts, orders, sentinels=folder / "sentinel")
        return measured, [m for m in ledger.measurements() if m.settings.visit]


def profile_row(maker: Maker, variant: Variant, count: int, settings: MeasureSettings) -> dict[str, Any]:
    """Networks a minute from nothing to stored measurements, and where the time goes."""
    networks = maker.networks(count)
    maker.folder.mkdir(parents=True)
    start = time.perf_counter()
    artifacts = maker.write(networks, [variant])
    written = time.perf_counter()
    measured, visits = campaign(maker.folder, target(variant, settings), artifacts)
    end = time.perf_counter()
    inside = sum(sum(v.latencies_s) + float(dict(v.environment).get("warmup_s", 0)) for v in visits)
    failed = sum(not m.ok for m in measured.measurements.values())
    return {
        "by": "this package",
        "space": maker.name,
        "file": "-".join(variant),
        "networks": count,
        "failed": failed,
        "networks_a_minute": 60 * count / (end - start),
        "write_ms": 1e3 * (written - start) / count,
        "measure_ms": 1e3 * (end - written) / count,
        "outside_inference": 1 - inside / (end - start),
        "median_latency_ms": 1e3 * median(m.corrected_s() for m in measured.measurements.values() if m.ok),
        "quality": measured.quality["device"],
    }


def stock_row(maker: Maker, variant: Variant, count: int, settings: MeasureSettings) -> dict[str, Any]:
    """The same networks through PyTorch's exporter and ONNX Runtime's static quantisation, measured side by side.

    Our files are measured twice: as they are for profiling, and with INT8 ranges of their own.
    """
    networks, lent = maker.networks(count), maker.lent([variant])
    artifacts: Artifacts = {}
    seconds = []
    for key, network in networks.items():
        module = lent.module(network).eval()
        weights, images = module.deployed_weights(), maker.images.numpy()
        own = known_ranges(network, weights, images, [variant])
        for kind, ranges in (("timed", lent.ranges), ("own", own)):
            artifacts[f"{kind}-{key}"] = dict(
                export_artifacts(network, weights, maker.folder / f"{kind}-{key}", ranges, [variant])
            )
        start = time.perf_counter()
        path = convert(module, maker.images, maker.folder / key, quantise=variant[1] == "int8")
        seconds.append(time.perf_counter() - start)
        shape = (3, *maker.images.shape[2:])
        stock = Artifact.from_file(
            path, format="onnx", precision=variant[1], input_shape=shape, workload=workload(network)
        )
        artifacts[f"stock-{key}"] = {variant: stock}
    start = time.perf_counter()
    measured, _ = campaign(maker.folder, target(variant, settings), artifacts)
    measure_s = (time.perf_counter() - start) / len(artifacts)
    found = {key: m.corrected_s() for (key, _), m in measured.measurements.items() if m.ok}

    def ratio(kind: str, other: str) -> float:
        pairs = [(f"{kind}-{key}", f"{other}-{key}") for key in networks]
        return median(found[a] / found[b] for a, b in pairs if a in found and b in found)

    return {
        "by": f"stock: {exporter()}" + (" and quantize_static" if variant[1] == "int8" else ""),
        "space": maker.name,
        "file": "-".join(variant),
        "networks": count,
        "failed": sum(not m.ok for m in measured.measurements.values()),
        "networks_a_minute": 60 / (median(seconds) + measure_s),
        "write_ms": 1e3 * median(seconds),
        "measure_ms": 1e3 * measure_s,
        "ours_over_stock_latency": ratio("own", "stock"),
        "ours_as_profiled_over_stock_latency": ratio("timed", "stock"),
        "lent_over_own_ranges_latency": ratio("timed", "own"),
        "largest_output_difference": differences(artifacts, networks, variant, maker.images.numpy()[:8]),
        "quality": measured.quality["device"],
    }


def convert(module: torch.nn.Module, images: torch.Tensor, folder: Path, *, quantise: bool) -> Path:
    """The stock way to an ONNX file."""
    folder.mkdir(parents=True)
    path = folder / "stock.onnx"
    logging.disable(logging.WARNING)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        torch.onnx.export(module, (images[:1],), path, dynamo=exporter() == "torch.onnx.export", input_names=["image"])
        if quantise:
            quantize_static(
                path,
                folder / "stock.int8.onnx",
                Reader(images.numpy()),
                quant_format=QuantFormat.QDQ,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                per_channel=True,
            )
            path = folder / "stock.int8.onnx"
    logging.disable(logging.NOTSET)
    return path


class Reader(CalibrationDataReader):
    """Calibration images one by one."""

    def __init__(self, images: NDArray[np.float32]) -> None:
        self._images: Iterator[NDArray[np.float32]] = iter(images[:, None])

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """The next image, none after the last."""
        image = next(self._images, None)
        return None if image is None else {"image": image}


def exporter() -> str:
    """PyTorch's exporter: the current one where its package is installed, else the one before it."""
    return "torch.onnx.export" if importlib.util.find_spec("onnxscript") else "torch.onnx.export(dynamo=False)"


def stock_tflite() -> str:
    """PyTorch's converters to TFLite are no dependency, and nothing is quoted for them."""
    there = [name for name in ("litert_torch", "ai_edge_torch") if importlib.util.find_spec(name)]
    return f"{there[0]} is installed, and not compared with" if there else "litert-torch is not installed"


def differences(
    artifacts: Artifacts, networks: dict[str, Network], variant: Variant, images: NDArray[np.float32]
) -> float:
    """Largest difference of logits, as a share of the largest logit, over all networks, ranges being the files' own."""
    device = get_device(RUNTIMES[variant[0]])
    worst = 0.0
    for key in networks:
        with (
            device.open(artifacts[f"own-{key}"][variant]) as own,
            device.open(artifacts[f"stock-{key}"][variant]) as stock,
        ):
            expected = stock.predict(images)
            worst = max(worst, float(np.abs(own.predict(images) - expected).max() / np.abs(expected).max()))
    return worst


def make_claims(rows: list[dict[str, Any]]) -> list[Claim]:
    claims = []
    for row in rows:
        where = f"{row.get('space')}, {row['file']}"
        if row["by"] == "this package" and row["space"] == "mobilenetv3_32" and row["file"].endswith("int8"):
            count = row["networks"]
            claims += [
                Claim(f"networks profiled a minute: {where}", row["networks_a_minute"], "", 60, "higher", count),
                Claim(f"time outside inference: {where}", 100 * row["outside_inference"], "%", 20, "lower", count),
            ]
        elif row["networks"] and row["by"] != "this package":
            slower = 100 * (row["ours_over_stock_latency"] - 1)
            lent = 100 * abs(row["lent_over_own_ranges_latency"] - 1)
            name = f"slower than the stock converters' files, median: {where}"
            claims.append(Claim(name, slower, "%", 5, "lower", row["networks"]))
            if row["file"].endswith("float32"):
                difference = row["largest_output_difference"]
                name = f"difference of outputs from the stock file's, of the largest: {where}"
                claims.append(Claim(name, difference, "share", 1e-4, "lower", row["networks"]))
            else:
                name = f"latency changed by ranges of another network, median: {where}"
                claims.append(Claim(name, lent, "%", 1, "lower", row["networks"]))
    return claims


def print_row(row: dict[str, Any]) -> None:
    print(f"{row['space']:<16}{row['file']:<16}{row['networks_a_minute']:>7.1f} a minute", end="")
    print(f"  write {row['write_ms']:>7.1f} ms  measure {row['measure_ms']:>7.1f} ms", end="")
    if "outside_inference" in row:
        print(f"  outside inference {row['outside_inference']:.1%}  by {row['by']}")
    else:
        print(f"  ours / stock latency {row['ours_over_stock_latency']:.3f}  by {row['by']}")


if __name__ == "__main__":
    main()
