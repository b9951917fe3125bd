"""The process that runs images through model files may do anything; the agent goes on."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from devices import Artifact, DeviceError, Format, OnnxRuntimeCPU
from devices.agent.predictor import Predictor
from devices.agent.protocol import PredictRequest
from devices.agent.wire import unpack

ANSWER = "import sys; sys.stdin.buffer.readline(); sys.stdout.buffer.write({!r}); sys.stdout.flush(); {}"
BEHAVIOURS = {
    # It may end before or after it was asked.
    "ends": ("import os; os._exit(3)", "no answer|ended or answered"),
    "hangs before it reads": ("import time; time.sleep(1000)", "had not answered after"),
    "hangs and has a child": (
        "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(1000)'])",
        "had not answered after",
    ),
    "speaks nonsense": (ANSWER.format(b"hello\n", "sys.stdin.read()"), "not valid JSON"),
    "announces too much": (
        ANSWER.format(b'{"bytes": 99999999999, "shape": [1, 1]}\n', "sys.stdin.read()"),
        "announces",
    ),
    "ends halfway": (ANSWER.format(b'{"bytes": 8, "shape": [1, 2]}\nabc', "sys.exit()"), "half an answer"),
    "reports": (ANSWER.format(b'{"bytes": 0, "error": "no such operator"}\n', "sys.stdin.read()"), "no such operator"),
}
IMAGE = memoryview(bytes(4 * 3 * 8 * 8))


@pytest.mark.parametrize("kind", sorted(BEHAVIOURS))
def test_whatever_it_does_is_an_error_and_ends_in_time(kind: str, model: Callable[..., Artifact]) -> None:
    script, message = BEHAVIOURS[kind]
    predictor = Predictor("fake", {})
    predictor._command = (sys.executable, "-I", "-S", "-c", script)
    for _ in range(1 if kind == "reports" else 2):  # the next request finds a new process where that is needed
        with pytest.raises(DeviceError, match=message):
            artifact = model()
            timeout_s = 0.5 if "hangs" in kind else 60.0
            predictor.predict(PredictRequest("me", "cpu", artifact, 1, 1), artifact.path, IMAGE, timeout_s)
    predictor.close()
    predictor.close()


def test_a_crash_costs_one_request(tiny_artifacts: dict[Format, Artifact], tmp_path: Path) -> None:
    artifact = tiny_artifacts["onnx"]
    images = np.random.default_rng(0).standard_normal((2, 3, 16, 16), dtype=np.float32)
    asked = PredictRequest("me", "cpu", artifact, 1, 2)
    predictor = Predictor("onnxruntime_cpu", {})
    works = predictor._command
    predictor._command = (sys.executable, "-I", "-S", "-c", "import os; os.abort()")
    with pytest.raises(DeviceError):
        predictor.predict(asked, artifact.path, memoryview(images.tobytes()), 60.0)
    predictor._command = works
    told, logits = unpack(predictor.predict(asked, artifact.path, memoryview(images.tobytes()), 60.0))
    predictor.close()
    with OnnxRuntimeCPU().open(artifact) as model:
        np.testing.assert_array_equal(np.frombuffer(logits, "<f4").reshape(told["shape"]), model.predict(images))
