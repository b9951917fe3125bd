"""How long model files take to write, beside the stock converters; what they compute, and how big they are."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import onnxruntime
import torch
from ai_edge_litert.interpreter import Interpreter
from common import Claim, arguments, write_results
from numpy.typing import NDArray

from nas.export import write_onnx, write_onnx_int8, write_tflite, write_tflite_int8
from search_spaces import Network, get_space, macs, parameters
from supernet import StandaloneNetwork, random_network

Weights = dict[str, NDArray[np.float32]]
Case = tuple[Network, StandaloneNetwork, Weights, NDArray[np.float32]]
WRITERS: dict[str, Callable[..., None]] = {
    "model.onnx": write_onnx,
    "model.tflite": write_tflite,
    "model.int8.onnx": write_onnx_int8,
    "model.int8.tflite": write_tflite_int8,
}
OURS = "this package"
ARCHITECTURES, CALIBRATION_IMAGES, TARGET_MS, TOLERANCE = 50, 64, 20.0, 1e-4


def main() -> None:
    options = arguments(__file__, "Time to write model files, and their outputs beside the module's")
    load = {"other_load": round(os.getloadavg()[0], 1)} if hasattr(os, "getloadavg") else {}
    torch.set_num_threads(1)
    cases = make_cases(8 if options.quick else ARCHITECTURES)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = [writer_row(file, cases, folder, 3 if options.quick else 9) for file in WRITERS]
        rows += [stock_onnx_row(cases[:2], folder), stock_tflite_row()]
        differences = {file: largest_difference(file, cases, folder) for file in ("model.onnx", "model.tflite")}
    print_table(rows)
    write_results(options, rows, make_claims(rows, differences, len(cases)), extra_environment=load)


def make_cases(count: int) -> list[Case]:
    """Random architectures at their own resolutions, with random weights and the batch-norm statistics of these."""
    space, rng = get_space("mobilenetv3_32"), np.random.default_rng(0)
    cases = []
    for index in range(count):
        network = space.lower(space.sample(rng))
        module = random_network(network, index)
        images = rng.standard_normal((CALIBRATION_IMAGES, *network.input.shape), dtype=np.float32)
        cases.append((network, module, module.deployed_weights(), images))
    return cases


def writer_row(file: str, cases: list[Case], folder: Path, repeats: int) -> dict[str, Any]:
    """Median over the networks of the median of ``repeats`` writings, fsync included; INT8 with 64 images, once.

    Processor time is given beside it: what remains of the time when other work shares the machine.
    """
    path = folder / file
    seconds, processor_seconds, sizes = [], [], []
    for network, _, weights, images in [cases[0], *cases]:  # the first time also loads packages: left out below
        extra = [images] if ".int8" in file else []
        times = []
        for _ in range(1 if extra else repeats):
            start = time.perf_counter(), time.thread_time()
            WRITERS[file](network, weights, path, *extra)
            times.append((time.perf_counter() - start[0], time.thread_time() - start[1]))
        wall, processor = zip(*times, strict=True)
        seconds.append(median(wall))
        processor_seconds.append(median(processor))
        sizes.append(path.stat().st_size)
    largest = max(range(len(cases)), key=lambda index: parameters(cases[index][0]))
    return {
        "file": file,
        "by": OURS,
        "networks": len(cases),
        "median_ms": 1e3 * median(seconds[1:]),
        "slowest_ms": 1e3 * max(seconds[1:]),
        "median_processor_ms": 1e3 * median(processor_seconds[1:]),
        "median_bytes": median(sizes[1:]),
        "largest_network": {
            "parameters": parameters(cases[largest][0]),
            "macs": macs(cases[largest][0]),
            "bytes": sizes[1 + largest],
        },
    }


def stock_onnx_row(cases: list[Case], folder: Path) -> dict[str, Any]:
    """PyTorch's exporter: the current one where its package is installed, else the one before it."""
    current = importlib.util.find_spec("onnxscript") is not None
    path = folder / "stock.onnx"
    seconds = []
    for network, module, _, _ in cases:
        start = time.perf_counter()
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            torch.onnx.export(module, (torch.zeros(1, *network.input.shape),), path, dynamo=current)
        seconds.append(time.perf_counter() - start)
    name = "torch.onnx.export" if current else "torch.onnx.export(dynamo=False); onnxscript is not installed"
    return {
        "file": "model.onnx",
        "by": name,
        "networks": len(cases),
        "median_ms": 1e3 * median(seconds),
        "slowest_ms": 1e3 * max(seconds),
        "median_bytes": path.stat().st_size,
    }


def stock_tflite_row() -> dict[str, Any]:
    """PyTorch's converter to TFLite is not a dependency, and nothing is quoted for it."""
    return {"file": "model.tflite", "by": "litert-torch: not installed", "networks": 0}


def largest_difference(file: str, cases: list[Case], folder: Path) -> list[float]:
    """Largest absolute difference of the float32 file's logits from the module's, for every network."""
    found = []
    for network, module, weights, images in cases:
        WRITERS[file](network, weights, folder / file)
        with torch.no_grad():
            expected = module(torch.from_numpy(images[:1])).numpy()
        found.append(float(np.abs(run(folder / file, images[:1]) - expected).max()))
    return found


def run(path: Path, image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logits as the file's runtime computes them."""
    if path.suffix == ".onnx":
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        return np.asarray(session.run(["logits"], {"image": image})[0])
    runner = Interpreter(str(path), num_threads=1).get_signature_runner("serving_default")
    return np.asarray(runner(image=image.transpose(0, 2, 3, 1))["logits"])


def make_claims(rows: list[dict[str, Any]], differences: dict[str, list[float]], count: int) -> list[Claim]:
    claims = []
    for row in (row for row in rows if row["by"] == OURS and ".int8" not in row["file"]):
        name = f"median time to write {row['file']}, of {count} random networks of the 32-px space"
        claims.append(Claim(name, row["median_ms"], unit="ms", target=TARGET_MS, better="lower"))
    for file, values in differences.items():
        name = f"largest difference of {file}'s logits from the module's over {count} random architectures"
        claims.append(Claim(name, max(values), "absolute", TOLERANCE, better="lower"))
    return claims


def print_table(rows: list[dict[str, Any]]) -> None:
    print(f"{'file':<20}{'median ms':>11}{'slowest ms':>12}{'median kB':>11}  by")
    for row in rows:
        if not row["networks"]:
            print(f"{row['file']:<20}{'–':>11}{'–':>12}{'–':>11}  {row['by']}")
            continue
        figures = f"{row['median_ms']:>11.1f}{row['slowest_ms']:>12.1f}{row['median_bytes'] / 1e3:>11.0f}"
        print(f"{row['file']:<20}{figures}  {row['by']}")


if __name__ == "__main__":
    main()
