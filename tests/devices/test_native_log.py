from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from devices import Artifact, Format, get_device
from devices.native_log import without_greeting

GREETING = b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\n"


def test_only_the_greeting_is_left_out(capfd: pytest.CaptureFixture[str]) -> None:
    with without_greeting():
        os.write(2, b"before\n" + GREETING + b"ERROR: it broke\n")
        assert capfd.readouterr().err == ""
    assert capfd.readouterr().err == "before\nERROR: it broke\n"


def test_what_was_said_before_an_error_comes_out(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyError), without_greeting():
        os.write(2, b"ERROR: it broke\n")
        raise KeyError
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "ERROR: it broke\nafter\n"


def test_loading_a_tflite_file_says_nothing(tiny_artifacts: dict[Format, Artifact]) -> None:
    if get_device("litert_cpu").unavailable_reason():
        pytest.skip("LiteRT is not installed")
    path: Path = tiny_artifacts["tflite"].path
    program = (
        "import sys; from pathlib import Path; from devices import Artifact, LiteRTCPU\n"
        "made = Artifact.from_file(Path(sys.argv[1]), format='tflite', precision='float32', input_shape=(3, 16, 16))\n"
        "LiteRTCPU().open(made).close()"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, check=True)
    assert done.stderr == b""
