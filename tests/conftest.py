"""Fixtures shared by all packages' tests."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from devices import Artifact, Format, Precision, Workload
from nas.export.network_file import write_network
from nas.export.onnx_int8 import write_onnx_int8
from nas.export.onnx_writer import write_onnx
from nas.export.tflite_int8 import write_tflite_int8
from nas.export.tflite_writer import write_tflite
from search_spaces import Network, NetworkBuilder, macs, parameters

# Tests run beside other work: one thread is as quick for networks this small, and adds up in the same order everywhere.
torch.set_num_threads(1)

# A shell starts background jobs with Ctrl-C ignored, and what they start inherits that; the tests send it.
signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).parents[1]
TINY_SHAPE = (3, 16, 16)
TINY_CLASSES = 5
TinyModel = tuple[Network, dict[str, NDArray[np.float32]]]


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Data that is not part of the repository: where HWNAS_DATA says, or shared/data in or beside the checkout."""
    named = os.environ.get("HWNAS_DATA")
    places = [Path(named)] if named else [parent / "shared" / "data" for parent in (ROOT, ROOT.parent)]
    for place in places:
        if place.is_dir():
            return place
    pytest.skip(f"needs data that is not part of the repository, looked for in {', '.join(map(str, places))}")


@pytest.fixture(scope="session")
def tiny_model() -> TinyModel:
    """One small network, 3 by 16 by 16 in and 5 classes out, and random weights for it."""
    builder = NetworkBuilder(TINY_SHAPE)
    hidden = builder.activation("act", builder.conv("conv", builder.input, 8, 3, stride=2), "relu")
    builder.linear("classifier", builder.flatten("flat", builder.global_pool("pool", hidden)), TINY_CLASSES)
    rng = np.random.default_rng(0)
    shapes = {"conv.weight": (8, 3, 3, 3), "conv.bias": (8,), "classifier.weight": (5, 8), "classifier.bias": (5,)}
    weights = {f"input.{name}": rng.standard_normal(shape, dtype=np.float32) for name, shape in shapes.items()}
    return builder.build(), weights


@pytest.fixture(scope="session")
def tiny_artifacts(tiny_model: TinyModel, tmp_path_factory: pytest.TempPathFactory) -> dict[Format, Artifact]:
    """The small network as a float32 file of every format."""
    folder = tmp_path_factory.mktemp("tiny")
    write_onnx(*tiny_model, folder / "tiny.onnx")
    write_tflite(*tiny_model, folder / "tiny.tflite")
    write_network(*tiny_model, folder / "tiny.network")
    return _described(tiny_model[0], folder, "float32", ("onnx", "tflite", "network"))


@pytest.fixture(scope="session")
def tiny_int8_artifacts(tiny_model: TinyModel, tmp_path_factory: pytest.TempPathFactory) -> dict[Format, Artifact]:
    """The small network as an INT8 file of every format."""
    folder = tmp_path_factory.mktemp("tiny_int8")
    images = np.random.default_rng(1).standard_normal((16, *TINY_SHAPE), dtype=np.float32)
    write_onnx_int8(*tiny_model, folder / "tiny.onnx", images)
    write_tflite_int8(*tiny_model, folder / "tiny.tflite", images)
    return _described(tiny_model[0], folder, "int8", ("onnx", "tflite"))


def _described(network: Network, folder: Path, precision: Precision, kinds: Sequence[Format]) -> dict[Format, Artifact]:
    work = Workload(macs(network), parameters(network), activation_elements=8 * 8 * 8)
    return {
        kind: Artifact.from_file(
            folder / f"tiny.{kind}", format=kind, precision=precision, input_shape=TINY_SHAPE, workload=work
        )
        for kind in kinds
    }
