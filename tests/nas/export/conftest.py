"""What the tests of the model-file writers share."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from search_spaces import Network, NetworkBuilder
from supernet import StandaloneNetwork

Run = Callable[..., NDArray[np.float32]]


@pytest.fixture(scope="session")
def reference() -> ModuleType:
    """The module beside this file that says with torch what a network computes."""
    spec = importlib.util.spec_from_file_location("export_reference", Path(__file__).with_name("reference.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def run_onnx() -> Run:
    """Outputs of an ONNX file, image by image."""

    def run(path: Path, images: NDArray[np.float32]) -> NDArray[np.float32]:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        return np.concatenate([session.run(["logits"], {"image": image[None]})[0] for image in images])

    return run


@pytest.fixture(scope="session")
def run_tflite() -> Run:
    """Outputs of a TFLite file through its signature, image by image, with XNNPACK or without."""

    def run(path: Path, images: NDArray[np.float32], *, delegate: bool = True) -> NDArray[np.float32]:
        kind = OpResolverType.AUTO if delegate else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        interpreter = Interpreter(str(path), num_threads=1, experimental_op_resolver_type=kind)
        runner = interpreter.get_signature_runner("serving_default")
        last = np.moveaxis(images, 1, -1) if images.ndim == 4 else images
        return np.concatenate([runner(image=image[None])["logits"] for image in last])

    return run


def _small_mobile_network() -> Network:
    b = NetworkBuilder((3, 16, 16))
    with b.block("stem"):
        x = b.activation("act", b.conv("conv", b.input, 16, 3, stride=2), "hard_swish")
    for index in range(3):
        with b.block(f"blocks.{index}"):
            y = b.activation("expand_act", b.conv("expand", x, 48), "hard_swish")
            y = b.activation("depthwise_act", b.depthwise("depthwise", y, (3, 7, 5)[index]), "hard_swish")
            gate = b.activation(
                "reduce_act", b.conv("reduce", b.global_pool("pool", y), 8, norm=False, bias=True), "relu"
            )
            gate = b.activation("gate", b.conv("gate_conv", gate, 48, norm=False, bias=True), "hard_sigmoid")
            x = b.add("residual", b.conv("project", b.mul("scale", y, gate), 16), x)
    with b.block("head"):
        x = b.activation("act", b.conv("conv", x, 64), "hard_swish")
        b.linear("classifier", b.flatten("flat", b.global_pool("pool", x)), 10)
    return b.build()


@dataclass(frozen=True)
class Trained:
    """A network trained on scikit-learn's digits, and all of them: of the 397 unseen ones, four are a point already."""

    network: Network
    weights: dict[str, NDArray[np.float32]]
    calibration: NDArray[np.float32]
    images: NDArray[np.float32]
    labels: NDArray[np.int64]
    logits: NDArray[np.float32]


@pytest.fixture(scope="session")
def trained() -> Trained:
    """Hard swish, squeeze-and-excite and 7x7 kernels at 16 px, trained for some seconds."""
    torch.manual_seed(0)
    network = _small_mobile_network()
    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.target))
    small = torch.from_numpy(digits.images[order].astype(np.float32))[:, None] / 16
    images = (F.interpolate(small, size=(16, 16), mode="bilinear").repeat(1, 3, 1, 1) - 0.3) / 0.35
    labels = torch.from_numpy(digits.target[order])
    model = StandaloneNetwork(network).train()
    optimizer = torch.optim.AdamW(model.parameters(), 4e-3)
    for step in range(100):
        batch = torch.arange(step * 48, step * 48 + 48) % 1400
        loss = F.cross_entropy(model(images[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        logits = model.eval()(images).numpy()
    judged = (images.numpy(), labels.numpy().astype(np.int64))
    return Trained(network, model.deployed_weights(), images[:64].numpy(), *judged, logits)
