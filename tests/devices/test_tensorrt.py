"""The TensorRT device against a fake ``trtexec`` and a fake ``nvpmodel``: shell scripts that write real formats."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from devices import Artifact, DeviceError, Format, Measurement, MeasureSettings, OnnxRuntimeTensorRT, TensorRTDevice
from devices.gpu import gpu_model
from devices.jetson_state import moved, read_board
from devices.trtexec import parse_times, parse_version

SETTINGS = MeasureSettings(min_warmup_s=0.2, min_time_s=0.5, min_count=20, max_time_s=2.0, timeout_s=60.0)
RUNNING = "&&&& RUNNING TensorRT.trtexec [TensorRT v100300] [b17] # trtexec"
FAKE_TRTEXEC = """#!/bin/sh
# A fake trtexec, written by a test.
here={here}
for word in "$@"; do printf '[%s]' "$word" >> "$here/log"; done; echo >> "$here/log"
echo "&&&& RUNNING TensorRT.trtexec [TensorRT v100300] [b17] # trtexec $*"
for word in "$@"; do
    case "$word" in
        --help) exit 0;;
        --onnx=*) [ -f "$here/build_fails" ] && {{ cat "$here/build_fails"; exit 1; }};;
        --saveEngine=*) echo engine > "${{word#--saveEngine=}}";;
        --loadEngine=*) test -s "${{word#--loadEngine=}}" || exit 9;
            [ -f "$here/hangs" ] && sleep 600
            echo "[09/25/2026-10:00:38] [I] Engine deserialized in 0.0140529 sec.";;
        --exportTimes=*) [ -f "$here/times" ] && cp "$here/times" "${{word#--exportTimes=}}";;
    esac
done
echo "[09/25/2026-10:00:40] [I] Throughput: 2699.06 qps"
echo "&&&& PASSED TensorRT.trtexec [TensorRT v100300] [b17] # trtexec $*"
"""
FAILED = """[02/06/2024-17:33:20] [I] Start parsing network model.
[02/06/2024-17:33:20] [E] [TRT] ModelImporter.cpp:771: While parsing node number 2 [DequantizeLinear -> "x"]:
[02/06/2024-17:33:20] [E] [TRT] ModelImporter.cpp:775: ERROR: QuantDequantLinearHelper: Assertion failed: \
shiftIsAllZeros(zeroPoint) && "TensorRT only supports symmetric quantization."
[02/06/2024-17:33:20] [E] Failed to parse onnx file
[02/06/2024-17:33:20] [E] Engine set up failed
&&&& FAILED TensorRT.trtexec [TensorRT v8601] # trtexec --onnx=x
"""


def row(start_ms: float, compute_ms: float) -> dict[str, float]:
    """One line of ``--exportTimes``; the copies in and out take 0.01 ms each."""
    end = start_ms + compute_ms
    return {
        "startEnqMs": start_ms - 0.02, "endEnqMs": start_ms - 0.01, "startH2dMs": start_ms - 0.01, "endH2dMs": start_ms,
        "startComputeMs": start_ms, "endComputeMs": end, "startD2hMs": end, "endD2hMs": end + 0.01, "h2dMs": 0.01,
        "computeMs": compute_ms, "d2hMs": 0.01, "latencyMs": compute_ms + 0.02, "endToEndMs": compute_ms + 0.02,
    }  # fmt: skip


@dataclass
class Board:
    """A folder with a fake trtexec and what it shall write."""

    folder: Path

    @property
    def calls(self) -> list[str]:
        return [line for line in (self.folder / "log").read_text().splitlines() if "[--help]" not in line]

    def device(self, **options: Any) -> TensorRTDevice:
        place = {"trtexec": str(self.folder / "fake_trtexec"), "cache": str(self.folder / "engines")}
        return TensorRTDevice(**{**place, **options})

    def write_times(self, rows: list[dict[str, float]]) -> None:
        (self.folder / "times").write_text(json.dumps(rows))


def executable(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Board:
    executable(tmp_path / "fake_trtexec", FAKE_TRTEXEC.format(here=shlex.quote(str(tmp_path))))
    executable(tmp_path / "bin" / "nvpmodel", "#!/bin/sh\n[ \"$1\" = -q ] && printf 'NV Power Mode: 15W\\n1\\n'\n")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    made = Board(tmp_path)
    made.write_times([row(start, 0.35) for start in (0.0, 100.0)] + [row(200.0 + i, 0.5) for i in range(30)])
    return made


@pytest.fixture
def artifact(tiny_artifacts: dict[Format, Artifact]) -> Artifact:
    return tiny_artifacts["onnx"]


def failure(measurement: Measurement) -> str:
    assert not measurement.ok and Measurement.from_json(measurement.to_json()) == measurement
    return str(measurement.error)


def test_measurement_has_every_inference_after_the_warm_up(board: Board, artifact: Artifact) -> None:
    made = board.device().measure(artifact, SETTINGS)
    assert made.error is None
    assert made.latencies_s == pytest.approx([0.52e-3] * 30)
    assert made.load_s == pytest.approx(0.0140529)
    told = dict(made.environment)
    assert (told["runtime"], told["runtime_version"], told["fp16"]) == ("tensorrt", "10.3.0", "False")
    assert told["power_mode_before"] == told["power_mode_after"] == "15W"
    assert float(told["gpu_compute_median_s"]) == pytest.approx(0.5e-3)
    assert Measurement.from_json(made.to_json()) == made


def test_engine_is_built_once_for_a_file_and_what_it_depends_on(
    board: Board, artifact: Artifact, tiny_int8_artifacts: dict[Format, Artifact]
) -> None:
    assert board.device().measure(artifact, SETTINGS).ok and board.device().measure(artifact, SETTINGS).ok
    build, time, again = board.calls
    assert build.startswith(f"[--onnx={artifact.path}][--saveEngine={board.folder}/engines/.building-")
    assert build.endswith("[--iterations=1][--duration=0][--warmUp=0]") and "int8" not in build
    assert time == again.replace(
        again.split("[--exportTimes=")[1].split("]")[0], time.split("[--exportTimes=")[1].split("]")[0]
    )
    assert "[--warmUp=200][--duration=0.5][--iterations=20]" in time and "[--exposeDMA]" in time
    assert time.endswith("[--useCudaGraph]")
    assert board.device(fp16=True, cuda_graph=False).measure(artifact, SETTINGS).ok
    assert "[--fp16]" in board.calls[3] and "[--useCudaGraph]" not in board.calls[4]
    assert board.device().measure(tiny_int8_artifacts["onnx"], SETTINGS).ok
    assert "[--int8]" in board.calls[5]
    engines = board.folder / "engines"
    assert len(list(engines.glob("*.engine"))) == len(list(engines.iterdir())) == 3


def test_file_that_tensorrt_does_not_take_is_a_row_that_says_why(board: Board, artifact: Artifact) -> None:
    (board.folder / "build_fails").write_text(FAILED)
    told = failure(board.device().measure(artifact, SETTINGS))
    assert "could not build an engine of tiny.onnx" in told and "[E] [TRT] ModelImporter.cpp:775" in told
    assert "set the precision to int8_symmetric" in told
    assert not list((board.folder / "engines").iterdir())


@pytest.mark.parametrize(
    ("times", "told"),
    [
        (None, "left no times"),
        ("[", "left no times"),
        ("{}", "left 0 times"),
        ('[{"latencyMs": 1}]', "left no times"),
        (json.dumps([row(0.0, 0.5)]), "left 0 times"),
        (json.dumps([row(300.0, -1.0)]), "cannot be used"),
        (json.dumps([{**row(300.0, 1.0), "latencyMs": 10**400}]), "OverflowError"),
        ("[" * 100_000, "RecursionError"),
    ],
)
def test_times_that_are_none_are_a_row(board: Board, artifact: Artifact, times: str | None, told: str) -> None:
    (board.folder / "times").unlink() if times is None else (board.folder / "times").write_text(times)
    assert told in failure(board.device().measure(artifact, SETTINGS))


def test_program_that_hangs_is_a_row(board: Board, artifact: Artifact) -> None:
    (board.folder / "hangs").touch()
    quick = replace(SETTINGS, min_warmup_s=0.0, min_time_s=0.1, max_time_s=0.5, timeout_s=1.0)
    told = failure(board.device().measure(artifact, quick))
    assert "was stopped" in told or "raise timeout_s" in told


def test_missing_program_is_a_reason_that_says_what_to_install(board: Board, artifact: Artifact) -> None:
    device = board.device(trtexec=str(board.folder / "none"))
    assert "libnvinfer-bin" in str(device.unavailable_reason())
    assert "libnvinfer-bin" in failure(device.measure(artifact, SETTINGS))
    assert device.info().runtime_version == "missing"
    assert "does not tell a TensorRT version" in str(board.device(trtexec="/bin/echo").unavailable_reason())


def test_folder_that_cannot_be_written_is_a_row(board: Board, artifact: Artifact) -> None:
    (board.folder / "file").touch()
    told = failure(board.device(cache=str(board.folder / "file" / "engines")).measure(artifact, SETTINGS))
    assert "give the option cache another place" in told


def test_power_mode_is_part_of_who_the_device_is(board: Board) -> None:
    info = board.device().info()
    assert (info.kind, info.runtime, info.runtime_version) == ("gpu", "tensorrt", "10.3.0")
    told = {"fp16": "False", "cuda_graph": "True", "power_mode": "15W", "gpu": gpu_model()}
    assert dict(info.options) == told
    executable(board.folder / "bin" / "nvpmodel", "#!/bin/sh\nprintf 'NV Power Mode: MAXN\\n0\\n'\n")
    assert dict(board.device().info().options)["power_mode"] == "MAXN"
    assert board.device().info().key != info.key
    (board.folder / "bin" / "nvpmodel").unlink()
    assert dict(board.device().info().options)["power_mode"] == "unknown"


def test_gpu_is_part_of_who_the_device_is_and_of_its_engines(
    board: Board, artifact: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = set()
    for name in ("A2, 10 multiprocessors, 128-bit memory", "A16, 10 multiprocessors, 128-bit memory"):
        monkeypatch.setattr("devices.tensorrt.gpu_model", lambda name=name: name)
        keys.add(board.device().info().key)
        assert board.device().measure(artifact, SETTINGS).ok
    assert len(keys) == len(list((board.folder / "engines").glob("*.engine"))) == 2


def test_times_that_wander_are_flagged(board: Board, artifact: Artifact) -> None:
    board.write_times([row(200.0 + i, 0.5 + i / 200) for i in range(100)])
    assert board.device().measure(artifact, SETTINGS).flags == ("unsteady", "drifting")
    board.write_times([row(200.0 + i, 0.5) for i in range(100)])
    assert board.device().measure(artifact, SETTINGS).flags == ()


def test_wrong_request_is_a_row(board: Board, tiny_artifacts: dict[Format, Artifact], tmp_path: Path) -> None:
    artifact, device = tiny_artifacts["onnx"], board.device()
    assert "cannot run 'tflite' files" in failure(device.measure(tiny_artifacts["tflite"], SETTINGS))
    with pytest.raises(DeviceError, match="cannot run"):
        device.open(tiny_artifacts["tflite"])
    assert "batch is 2" in failure(device.measure(artifact, replace(SETTINGS, batch=2)))
    (tmp_path / "changed").write_bytes(b"else")
    assert "has changed" in failure(device.measure(replace(artifact, path=tmp_path / "changed"), SETTINGS))


@pytest.mark.parametrize("options", [{"trtexec": ""}, {"cache": 5}, {"fp16": 1}, {"cuda_graph": "yes"}])
def test_wrong_option_is_an_error(options: dict[str, Any]) -> None:
    with pytest.raises(DeviceError, match=f"tensorrt option {next(iter(options))}"):
        TensorRTDevice(**options)


@pytest.mark.parametrize(
    ("text", "version"),
    [
        (RUNNING, "10.3.0"),
        ("&&&& RUNNING TensorRT.trtexec [TensorRT v8401] # trtexec", "8.4.1"),
        ("&&&& RUNNING TensorRT.trtexec [TensorRT v101601] [b11] # trtexec", "10.16.1"),
        ("&&&& FAILED TensorRT.trtexec # trtexec", None),
    ],
)
def test_version_is_read(text: str, version: str | None) -> None:
    assert parse_version(text) == version


def test_times_are_read_where_the_version_leaves_the_warm_up_out() -> None:
    trace = parse_times(json.dumps([row(250.0, 0.1), row(251.0, 0.3)]), "[I] Engine loaded in 1.5e-3 sec.", 0.2)
    assert trace.latencies_s == pytest.approx((0.12e-3, 0.32e-3))
    assert (trace.compute_median_s, trace.load_s) == pytest.approx((0.2e-3, 1.5e-3))


def test_board_tells_clocks_and_temperature(tmp_path: Path) -> None:
    assert read_board(tmp_path) == {}
    files = {
        "class/devfreq/17000000.gpu/cur_freq": "612000000",
        "class/devfreq/17000000.gpu/max_freq": "624750000",
        "class/devfreq/17000000.gpu/governor": "nvhost_podgov",
        "class/devfreq/15340000.vic/cur_freq": "115200000",
        "class/thermal/thermal_zone0/type": "cpu-thermal",
        "class/thermal/thermal_zone0/temp": "51000",
        "class/thermal/thermal_zone1/type": "gpu-thermal",
        "class/thermal/thermal_zone1/temp": "49687",
    }
    for place, text in files.items():
        path = tmp_path / "sys" / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    found = read_board(tmp_path)
    assert found == {
        "gpu_clock_hz": "612000000",
        "most_gpu_clock_hz": "624750000",
        "gpu_governor": "nvhost_podgov",
        "gpu_temperature_c": "49.7",
    }
    assert moved(found, found) is None
    assert "power_mode went from None to 15W" in str(moved(found, {**found, "power_mode": "15W"}))


def test_onnxruntime_without_tensorrt_says_so() -> None:
    device = OnnxRuntimeTensorRT()
    reason = device.unavailable_reason()
    if reason is None:
        pytest.skip("ONNX Runtime has TensorRT here; the contract runs it")
    assert "onnxruntime-gpu" in reason
    assert (device.info().kind, device.info().runtime_version) == ("gpu", "missing")


@pytest.fixture
def provider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """ONNX Runtime as it is where it was built with TensorRT, and the folders of engines that it was given."""
    onnxruntime = pytest.importorskip("onnxruntime")
    name, folders = "TensorrtExecutionProvider", []

    class Session(onnxruntime.InferenceSession):  # type: ignore[misc]
        def __init__(self, content: bytes, options: Any, providers: list[tuple[str, dict[str, Any]]]) -> None:
            folders.append(Path(providers[0][1]["trt_engine_cache_path"]))
            super().__init__(content, options, providers=["CPUExecutionProvider"])

        def get_providers(self) -> list[str]:
            return [name]

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [name])
    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folders


def test_onnxruntime_keeps_the_engines_of_each_file_apart(
    *,
    board: Board,
    provider: list[Path],
    tiny_artifacts: dict[Format, Artifact],
    tiny_int8_artifacts: dict[Format, Artifact],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    device, keys = OnnxRuntimeTensorRT(), set()
    for gpu in ("A2", "A2", "A16"):
        monkeypatch.setattr("devices.onnxruntime_tensorrt.gpu_model", lambda gpu=gpu: gpu)
        for artifact in (tiny_artifacts["onnx"], tiny_int8_artifacts["onnx"]):
            device.open(artifact).close()
        keys.add(device.info().key)
        assert dict(device.info().options)["power_mode"] == "15W"
    first, again, other = provider[:2], provider[2:4], provider[4:]
    assert first == again and len({*first, *other}) == 4 and all(folder.is_dir() for folder in provider)
    assert len(keys) == 2
