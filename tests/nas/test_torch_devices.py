"""PyTorch as a device, beyond what every device has to do."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from devices import Artifact, Device, DeviceError, Format, MeasureSettings, RemoteDevice, device_names, get_device
from devices.agent.server import Agent, Served
from nas.torch_devices import TorchCPU, TorchCUDA

SETTINGS = MeasureSettings(min_warmup_s=0.0, min_time_s=0.01, min_count=7, max_time_s=1.0, timeout_s=60.0)
NO_GPU = not torch.cuda.is_available()


@pytest.fixture(scope="module")
def cpu() -> Iterator[TorchCPU]:
    device = TorchCPU()
    yield device
    device.close()


@pytest.fixture
def artifact(tiny_artifacts: dict[Format, Artifact]) -> Artifact:
    return tiny_artifacts["network"]


def test_it_computes_what_onnxruntime_does(cpu: Device, tiny_artifacts: dict[Format, Artifact]) -> None:
    images = np.random.default_rng(1).standard_normal((7, 3, 16, 16), dtype=np.float32)
    other = get_device("onnxruntime_cpu")
    with cpu.open(tiny_artifacts["network"]) as here, other.open(tiny_artifacts["onnx"]) as there:
        np.testing.assert_allclose(here.predict(images), there.predict(images), rtol=1e-4, atol=1e-4)


def test_an_opened_model_leaves_the_threads_of_the_process_alone(cpu: Device, artifact: Artifact) -> None:
    images = np.random.default_rng(1).standard_normal((2, 3, 16, 16), dtype=np.float32)
    before = torch.get_num_threads()
    with cpu.open(artifact, threads=1) as one, cpu.open(artifact, threads=2) as two:
        np.testing.assert_allclose(one.predict(images), two.predict(images), rtol=1e-4, atol=1e-5)
    assert torch.get_num_threads() == before


def test_a_measurement_says_what_was_run(cpu: Device, artifact: Artifact) -> None:
    made = cpu.measure(artifact, replace(SETTINGS, threads=min(2, os.cpu_count() or 1)))
    assert made.error is None
    found = dict(made.environment)
    assert (found["runtime"], found["runtime_version"], found["delegate"]) == ("pytorch", torch.__version__, "eager")
    assert found["threads"] == str(made.settings.threads)


def test_a_file_that_is_no_network_is_a_row_that_names_it(cpu: Device, tmp_path: Path) -> None:
    path = tmp_path / "odd"
    path.write_bytes(b"this is no model" * 10)
    odd = Artifact.from_file(path, format="network", precision="float32", input_shape=(3, 16, 16))
    assert "no network file" in str(cpu.measure(odd, SETTINGS).error)


def test_another_input_shape_than_described_is_an_error(cpu: Device, artifact: Artifact) -> None:
    wrong = replace(artifact, input_shape=(3, 8, 8))
    with pytest.raises(DeviceError, match=r"it should take one image \(3, 8, 8\)"):
        cpu.open(wrong)
    assert "it should take one image" in str(cpu.measure(wrong, SETTINGS).error)


def test_an_agent_of_this_machine_serves_it(artifact: Artifact, tmp_path: Path) -> None:
    """Its other processes know nothing of this package until they are told."""
    agent = Agent({"torch": Served(TorchCPU(), "torch_cpu", {})}, tmp_path / "agent")
    agent.start()
    try:
        device: Any = RemoteDevice(url=agent.url)
        assert device.formats == ("network",)
        images = np.zeros((2, 3, 16, 16), dtype=np.float32)
        with device.open(artifact) as there, TorchCPU().open(artifact) as here:
            np.testing.assert_allclose(there.predict(images), here.predict(images), rtol=1e-5, atol=1e-6)
        device.close()
    finally:
        agent.stop()


def test_a_config_knows_them_and_the_devices_alone_need_no_torch() -> None:
    assert {"torch_cpu", "torch_cuda"} <= set(device_names())
    script = "import sys, nas.torch_devices; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.skipif(not NO_GPU, reason="there is a GPU here")
def test_without_a_gpu_it_says_what_is_missing(artifact: Artifact) -> None:
    device = TorchCUDA()
    reason = str(device.unavailable_reason())
    assert "was built without CUDA" in reason or "finds no GPU" in reason
    assert "nvidia-smi" in reason
    assert (device.info().kind, device.info().runtime_version) == ("gpu", "missing")
    failed = str(device.measure(artifact, SETTINGS).error)
    assert "was built without CUDA" in failed or "finds no GPU" in failed
    with pytest.raises(DeviceError, match="nvidia-smi"):
        device.open(artifact)


@pytest.mark.skipif(NO_GPU, reason="needs an NVIDIA GPU")
def test_the_graph_computes_what_the_processor_does(cpu: Device, artifact: Artifact) -> None:
    images = np.random.default_rng(1).standard_normal((7, 3, 16, 16), dtype=np.float32)
    with TorchCUDA().open(artifact) as there, cpu.open(artifact) as here:
        np.testing.assert_allclose(there.predict(images), here.predict(images), rtol=1e-2, atol=1e-2)
