"""Workers end with their parent, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

PREPARE = """
import os, sys
from pathlib import Path
sys.path.insert(0, {folder!r})
import broken_devices
from devices import Artifact, MeasureSettings
Path("model.onnx").write_bytes(b"model")
artifact = Artifact.from_file(Path("model.onnx"), format="onnx", precision="int8", input_shape=(1, 2, 2))
settings = MeasureSettings(min_warmup_s=0.0, min_time_s=0.0, min_count=3, max_time_s=1.0)
"""
HANG = PREPARE + "broken_devices.Hanging().measure(artifact, settings)\n"
FORK = (
    PREPARE
    + """
device = broken_devices.Healthy()
assert device.measure(artifact, settings).ok
worker = device._supervisor.process_id
child = os.fork()
if child == 0:
    well = device._supervisor.process_id is None and device.measure(artifact, settings).ok
    device.close()
    os._exit(0 if well else 1)
assert os.waitpid(child, 0)[1] == 0
assert device.measure(artifact, settings).ok
assert device._supervisor.process_id == worker
print(worker)
"""
)


def is_running(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def wait_until(condition: object, seconds: float = 30.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():  # type: ignore[operator]
            return True
        time.sleep(0.02)
    return False


def start(script: str, folder: Path, **environment: str) -> subprocess.Popen[str]:
    code = script.format(folder=str(Path(__file__).parent))
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=folder,
        env=os.environ | environment,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_hung_worker_ends_with_its_parent(how: signal.Signals, tmp_path: Path) -> None:
    place = tmp_path / "pid"
    parent = start(HANG, tmp_path, HANGING_PID_FILE=str(place))
    try:
        assert wait_until(place.exists)
        worker = int(place.read_text(encoding="ascii"))
        assert is_running(worker)
        os.killpg(parent.pid, how)  # as a terminal does with Ctrl-C: to the whole foreground group
        parent.wait(30)
        assert wait_until(lambda: not is_running(worker))
    finally:
        parent.kill()
        parent.communicate()


def test_forked_child_has_a_worker_of_its_own(tmp_path: Path) -> None:
    parent = start(FORK, tmp_path)
    out, err = parent.communicate(timeout=60)
    assert parent.returncode == 0, err
    assert wait_until(lambda: not is_running(int(out)))
