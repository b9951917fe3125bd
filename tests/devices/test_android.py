"""The Android device against a fake ``adb``: a shell script that knows a folder for a phone and real programs' output.

What it is given passes through a real shell, as on a phone, and through real ``grep``, ``ls`` and ``sha256sum``.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from devices import AndroidDevice, Artifact, DeviceError, Format, Measurement, MeasureSettings
from devices.adb import Adb, AttachedPhone, parse_devices
from devices.android_files import put_model
from devices.android_state import read_state, throttling
from devices.benchmark_model import parse_benchmark
from devices.program import Deadline

SETTINGS = MeasureSettings(threads=2, min_warmup_s=0.25, min_time_s=1.0, min_count=50, max_time_s=5.0, timeout_s=60.0)
PIXEL = "28161FDH2000XX         device usb:1-1 product:panther model:Pixel_7 device:panther transport_id:1"

FAKE_ADB = """#!/bin/sh
# A fake adb, written by a test.
here={here}
for word in "$@"; do printf '[%s]' "$word" >> "$here/log"; done; echo >> "$here/log"
[ "$1" = devices ] && {{ cat "$here/devices"; exit 0; }}
[ "$1" = -s ] && shift 2
if [ -f "$here/lost" ]; then echo "adb: device '28161FDH2000XX' not found" >&2; exit 1; fi
onto() {{ printf '%s' "$1" | sed "s#/data/local/tmp#$here/phone/data/local/tmp#g; s#/sys/#$here/phone/sys/#g"; }}
if [ "$1" = push ]; then
    if [ -f "$here/full" ]; then
        echo "adb: error: failed to copy '$2' to '$3': remote write failed: No space left on device" >&2; exit 1
    fi
    if [ -f "$here/torn" ]; then head -c 10 "$2" > "$(onto "$3")"; else cp "$2" "$(onto "$3")"; fi
    echo "$2: 1 file pushed, 0 skipped."
    exit 0
fi
shift
PATH="$here/bin:$PATH" HERE="$here" sh -c "$(onto "$*")" > "$here/out" 2> "$here/err"; code=$?
sed "s#$here/phone##g" "$here/out"; sed "s#$here/phone##g" "$here/err" >&2
exit $code
"""
BIN = {
    "getprop": 'cat "$HERE/properties"',
    "dumpsys": 'cat "$HERE/dumpsys.$1" 2>/dev/null || echo "Can\'t find service: $1"',
    "taskset": 'echo "$1" >> "$HERE/masks"; shift; exec "$@"',
    "pkill": 'echo "$2" >> "$HERE/killed"',
}
PROPERTIES = """[ro.build.fingerprint]: [google/panther/panther:14/UQ1A.240105.004/11206848:user/release-keys]
[ro.build.version.release]: [14]
[ro.product.cpu.abi]: [arm64-v8a]
[ro.product.manufacturer]: [Google]
[ro.product.model]: [Pixel 7]
[ro.soc.model]: [Tensor G2]
"""
BATTERY = "Current Battery Service state:\n  AC powered: false\n  level: 85\n  temperature: 281\n  technology: Li-ion\n"
THERMAL = "IsStatusOverride: false\nThermalEventListeners:\n\tcallbacks: 1\nThermal Status: 0\nCached temperatures:\n"
NEW = """INFO: STARTING!
INFO: Log parameter values verbosely: [0]
INFO: Graph: [model.tflite]
INFO: Loaded model model.tflite
INFO: Initialized TensorFlow Lite runtime.
INFO: Created TensorFlow Lite XNNPACK delegate for CPU.
INFO: The input model file size (MB): 3.06409
INFO: Initialized session in 92.318ms.
INFO: Running benchmark for at least 1 iterations and at least 0.5 seconds but terminate if exceeding 150 seconds.
INFO: count=3 first=235158 curr=200386 min=199462 max=235158 avg=211669 std=16613 p5=199462 median=200386 p95=235158

INFO: Running benchmark for at least 50 iterations and at least 1 seconds but terminate if exceeding 150 seconds.
INFO: count=25 first=187533 curr=140990 min=140071 max=195121 avg=145528 std=13583 p5=140545 median=141253 p95=187533

INFO: Inference timings in us: Init: 92318, First inference: 235158, Warmup (avg): 211669, Inference (avg): 145528
INFO: Note: as the benchmark tool itself affects memory footprint, the following is only APPROXIMATE.
INFO: Memory footprint delta from the start of the tool (MB): init=54.2852 overall=73.4102
"""
OLD = """Initialized session in 3.501ms.
Running benchmark for at least 1 iterations and at least 0.5 seconds but terminate if exceeding 150 seconds.
count=12 first=156677 curr=33205 min=32578 max=156677 avg=43268.1 std=34197

Running benchmark for at least 50 iterations and at least 1 seconds but terminate if exceeding 150 seconds.
count=50 first=33228 curr=33130 min=32687 max=33239 avg=33071.8 std=129

Inference timings in us: Init: 3501, First inference: 156677, Warmup (avg): 43268.1, Inference (avg): 33071.8
"""


@dataclass
class Phone:
    """A folder that the fake adb takes for a phone."""

    folder: Path
    adb: str
    benchmark_model: str

    @property
    def models(self) -> Path:
        return self.folder / "phone" / "data" / "local" / "tmp" / "hwnas"

    @property
    def calls(self) -> list[str]:
        return (self.folder / "log").read_text().splitlines()

    def device(self, **options: Any) -> AndroidDevice:
        return AndroidDevice(**{"adb": self.adb, "benchmark_model": self.benchmark_model, "cores": [6, 7], **options})

    def program(self, output: str, code: int = 0, extra: str = "") -> None:
        """Have the benchmark program write this; it first looks whether the model is there."""
        script = (
            '#!/bin/sh\necho "$@" >> "$HERE/arguments"\n'
            'for a; do case $a in --graph=*) test -s "${a#--graph=}" || exit 9;; esac; done\n'
        )
        text = f"{script}{extra}\ncat <<'END'\n{output}END\nexit {code}\n"
        Path(self.benchmark_model).write_text(text)


def executable(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture
def phone(tmp_path: Path) -> Phone:
    executable(tmp_path / "fake_adb", FAKE_ADB.format(here=shlex.quote(str(tmp_path))))
    for name, line in BIN.items():
        executable(tmp_path / "bin" / name, f"#!/bin/sh\n{line}\n")
    (tmp_path / "properties").write_text(PROPERTIES)
    (tmp_path / "dumpsys.battery").write_text(BATTERY)
    (tmp_path / "dumpsys.thermalservice").write_text(THERMAL)
    (tmp_path / "devices").write_text(f"List of devices attached\n{PIXEL}\n\n")
    system = tmp_path / "phone" / "sys"
    values = {"scaling_governor": "schedutil", "scaling_cur_freq": "2850000", "scaling_max_freq": "2850000"}
    for core in (6, 7):
        for name, text in values.items():
            place = system / "devices" / "system" / "cpu" / f"cpu{core}" / "cpufreq" / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(f"{text}\n")
    (system / "devices" / "system" / "cpu" / "possible").write_text("0-7\n")
    for zone, (kind, degrees) in enumerate(
        [("BIG", "41300"), ("battery", "99000"), ("cpu-silver", "38"), ("soc", "-274000")]
    ):
        place = system / "class" / "thermal" / f"thermal_zone{zone}"
        place.mkdir(parents=True)
        (place / "type").write_text(f"{kind}\n")
        (place / "temp").write_text(f"{degrees}\n")
    (tmp_path / "phone" / "data" / "local" / "tmp").mkdir(parents=True)
    made = Phone(tmp_path, str(tmp_path / "fake_adb"), str(tmp_path / "benchmark_model"))
    made.program(NEW)
    return made


@pytest.fixture
def artifact(tiny_artifacts: dict[Format, Artifact]) -> Artifact:
    return tiny_artifacts["tflite"]


def failure(measurement: Measurement) -> str:
    assert not measurement.ok and Measurement.from_json(measurement.to_json()) == measurement
    return str(measurement.error)


def test_measurement_says_what_its_samples_are(phone: Phone, artifact: Artifact) -> None:
    made = phone.device().measure(artifact, SETTINGS)
    assert made.error is None
    assert made.latencies_s == pytest.approx([141253e-6] * 5)
    assert (made.load_s, made.first_inference_s) == pytest.approx((92318e-6, 235158e-6))
    told = dict(made.environment)
    assert told["samples"] == "median of each of 5 runs, 125 inferences in all"
    runs = json.loads(told["benchmark_model_runs"])
    assert len(runs) == 5 and runs[0]["std_s"] == pytest.approx(13583e-6) and runs[0]["footprint_mb"] == 73.4102
    assert told["phone"] == "Google Pixel 7 (Tensor G2)" and told["serial"] == "28161FDH2000XX"
    for moment in ("before", "after"):
        assert told[f"governor_{moment}"] == "schedutil" and told[f"clock_hz_{moment}"] == "2850000000"
        assert (told[f"temperature_c_{moment}"], told[f"temperature_sensor_{moment}"]) == ("41.3", "BIG")
        assert told[f"battery_temperature_c_{moment}"] == "28.1" and told[f"thermal_status_{moment}"] == "0"
    assert "doubt" not in told
    assert Measurement.from_json(made.to_json()) == made


def test_program_is_called_by_a_list_and_pinned(phone: Phone, artifact: Artifact) -> None:
    phone.device(runs=4).measure(artifact, SETTINGS)
    model = phone.models / f"{artifact.sha256}.tflite"
    expected = (
        f"--graph={model} --num_threads=2 --num_runs=13 --min_secs=0.25 --max_secs=1.25 --warmup_runs=1 "
        "--warmup_min_secs=0.25 --use_xnnpack=true"
    )
    assert (phone.folder / "arguments").read_text().splitlines() == [expected] * 4
    assert (phone.folder / "masks").read_text().split() == ["c0"] * 4
    assert all(line.startswith("[-s][28161FDH2000XX]") or line == "[devices][-l]" for line in phone.calls)
    phone.device(cores=None, runs=1).measure(artifact, SETTINGS)
    assert (phone.folder / "masks").read_text().split() == ["c0"] * 4


def test_files_are_copied_once_and_again_if_they_were_changed(phone: Phone, artifact: Artifact) -> None:
    device = phone.device(runs=1)
    assert device.measure(artifact, SETTINGS).ok and device.measure(artifact, SETTINGS).ok
    assert len([line for line in phone.calls if "[push]" in line]) == 2  # program and model
    (phone.models / f"{artifact.sha256}.tflite").write_bytes(b"else")
    assert device.measure(artifact, SETTINGS).ok
    assert len([line for line in phone.calls if "[push]" in line]) == 3
    assert (phone.models / f"{artifact.sha256}.tflite").read_bytes() == artifact.read()


def test_phone_does_not_fill_up(phone: Phone, artifact: Artifact) -> None:
    phone.models.mkdir()
    for number in range(70):
        (phone.models / f"{number:064x}.tflite").touch()
    (phone.models / "notes").touch()
    put_model(Adb(phone.adb, "28161FDH2000XX"), artifact.path, artifact.sha256, Deadline(60.0))
    names = {path.name for path in phone.models.iterdir()}
    assert len(names) == 65 and {f"{artifact.sha256}.tflite", "notes"} <= names


def test_arguments_arrive_as_they_are(phone: Phone) -> None:
    words = ["$HOME", "a b", "'x' \"y\"", "; rm -rf *", "`id`", "$(id)", "\\", "", "|&<>", "ä\n"]
    shown = Adb(phone.adb, "28161FDH2000XX").shell(["printf", "<%s>", *words], 10.0)
    assert shown == "".join(f"<{word}>" for word in words)


@pytest.mark.parametrize(
    ("listed", "told"),
    [
        ("", "no phone is attached (attached: none)"),
        ("28161FDH2000XX\tunauthorized\n", "accept 'Allow USB debugging?'"),
        ("28161FDH2000XX  unauthorized usb:1-1 transport_id:2\n", "accept 'Allow USB debugging?'"),
        ("28161FDH2000XX  offline transport_id:2\n", "adb reconnect offline"),
        ("28161FDH2000XX  recovery usb:1-1\n", "is in state 'recovery'"),
        (
            "28161FDH2000XX  no permissions (user in plugdev group; are your udev rules wrong?); see [http://x]\n",
            "udev rules",
        ),
        (
            f"{PIXEL}\nemulator-5554          device product:sdk model:sdk_gphone64 transport_id:3\n",
            "emulator-5554 (sdk_gphone64)",
        ),
    ],
)
def test_phone_that_cannot_be_used_is_a_row_that_says_what_to_do(
    phone: Phone, artifact: Artifact, listed: str, told: str
) -> None:
    started = "* daemon not running; starting now at tcp:5037\n* daemon started successfully\n"
    (phone.folder / "devices").write_text(f"{started}List of devices attached\n{listed}\n")
    device = phone.device()
    assert told in str(device.unavailable_reason())
    assert told in failure(device.measure(artifact, SETTINGS))
    assert (device.info().cpu, device.info().kind) == ("no phone", "phone")


def test_one_of_several_phones_is_chosen_by_its_serial(phone: Phone) -> None:
    (phone.folder / "devices").write_text(f"List of devices attached\nemulator-5554\tdevice\n{PIXEL}\n")
    assert phone.device(serial="28161FDH2000XX").unavailable_reason() is None
    assert "no phone with serial 'X'" in str(phone.device(serial="X").unavailable_reason())


def test_list_of_phones_is_read() -> None:
    text = f"* daemon started successfully\nList of devices attached\n{PIXEL}\n192.168.1.20:5555\toffline\n\n"
    assert parse_devices(text) == [
        AttachedPhone("28161FDH2000XX", "device", "Pixel_7"),
        AttachedPhone("192.168.1.20:5555", "offline"),
    ]


def test_missing_adb_is_a_reason_that_says_what_to_install(phone: Phone, artifact: Artifact) -> None:
    device = phone.device(adb=str(phone.folder / "none"))
    assert "platform-tools" in str(device.unavailable_reason())
    assert "platform-tools" in failure(device.measure(artifact, SETTINGS))


@pytest.mark.parametrize("program", [None, "/no/such/program"])
def test_missing_program_is_a_reason_that_says_where_to_get_it(
    phone: Phone, artifact: Artifact, program: str | None
) -> None:
    device = phone.device(benchmark_model=program)
    assert "android_aarch64_benchmark_model" in str(device.unavailable_reason())
    assert "android_aarch64_benchmark_model" in failure(device.measure(artifact, SETTINGS))
    assert device.info().runtime_version == "missing"


def test_phone_that_is_unplugged_meanwhile_is_a_row(phone: Phone, artifact: Artifact) -> None:
    device = phone.device()
    assert device.info().cpu == "Google Pixel 7 (Tensor G2)"
    (phone.folder / "lost").touch()
    assert "is it plugged in" in failure(device.measure(artifact, SETTINGS))
    assert device.info().cpu == "Google Pixel 7 (Tensor G2)"  # who it was is known


@pytest.mark.parametrize(
    ("fault", "told"), [("full", "No space left on device"), ("torn", "did not arrive on the phone as it is here")]
)
def test_copy_that_fails_is_a_row(phone: Phone, artifact: Artifact, fault: str, told: str) -> None:
    (phone.folder / fault).touch()
    assert told in failure(phone.device().measure(artifact, SETTINGS))
    (phone.folder / fault).unlink()
    assert phone.device().measure(artifact, SETTINGS).ok


@pytest.mark.parametrize(
    ("output", "code", "told"),
    [
        (
            "ERROR: Failed to mmap model x\nBenchmarking failed.\n",
            1,
            "exit code 1: ERROR: Failed to mmap model x | Bench",
        ),
        ("Segmentation fault\n", 139, "a fault inside the runtime"),
        ("Killed\n", 137, "out of memory"),
        (NEW[: NEW.index("5528\n")], 0, "gave no timings"),
        ("", 0, "its last words: nothing"),
        (NEW.replace("median=141253", "median=0"), 0, "which is no time"),
        (NEW.replace("median=141253", "median=1.2.3"), 0, "could not convert string to float: '1.2.3'"),
    ],
)
def test_program_that_fails_is_a_row(phone: Phone, artifact: Artifact, output: str, code: int, told: str) -> None:
    phone.program(output, code)
    assert told in failure(phone.device().measure(artifact, SETTINGS))


def test_program_that_hangs_is_stopped_on_the_phone(phone: Phone, artifact: Artifact) -> None:
    phone.program(NEW, extra="sleep 600")
    quick = replace(SETTINGS, min_time_s=0.1, max_time_s=0.5, timeout_s=2.0)
    told = failure(phone.device().measure(artifact, quick))
    assert "was stopped" in told or "raise timeout_s" in told
    assert artifact.sha256 in (phone.folder / "killed").read_text() or "raise timeout_s" in told


def test_old_program_gives_means(phone: Phone, artifact: Artifact) -> None:
    phone.program(OLD)
    made = phone.device(runs=2).measure(artifact, SETTINGS)
    assert made.latencies_s == pytest.approx([33071.8e-6] * 2)
    assert dict(made.environment)["samples"] == "mean of each of 2 runs, 100 inferences in all"


def test_runs_that_were_all_alike_have_no_statistics() -> None:
    text = OLD.replace("count=50 first=33228 curr=33130 min=32687 max=33239 avg=33071.8 std=129", "count=50 curr=33071")
    run = parse_benchmark(text)
    assert (run.count, run.std_s, run.statistic) == (50, 0.0, "median")
    assert run.min_s == run.max_s == run.latency_s == pytest.approx(33071.8e-6)


def test_throttling_is_told(phone: Phone, artifact: Artifact) -> None:
    (phone.folder / "dumpsys.thermalservice").write_text(THERMAL.replace("Status: 0", "Status: 3"))
    made = phone.device(runs=1).measure(artifact, SETTINGS)
    assert "thermal status is 3" in dict(made.environment)["doubt"]
    assert made.flags == ("throttled",)
    assert "went from 2 to 1 Hz" in str(throttling({"most_clock_hz": "2"}, {"most_clock_hz": "1"}))


def test_what_a_phone_does_not_tell_is_left_out() -> None:
    assert read_state(lambda words: f"{words[0]}: Permission denied", [0, 1]) == {}


def test_identity_is_the_phone_and_what_it_was_asked(phone: Phone) -> None:
    info = phone.device().info()
    assert (info.kind, info.machine, info.system, info.cores) == ("phone", "arm64-v8a", "Android 14", 8)
    assert dict(info.options)["cores"] == "6,7" and dict(info.options)["serial"] == "28161FDH2000XX"
    assert info.key == phone.device().info().key != phone.device(cores=[0]).info().key
    phone.program(OLD)
    assert phone.device().info().key != info.key  # another program


def test_wrong_request_is_a_row(phone: Phone, tiny_artifacts: dict[Format, Artifact], tmp_path: Path) -> None:
    artifact, device = tiny_artifacts["tflite"], phone.device()
    assert "cannot run 'onnx' files" in failure(device.measure(tiny_artifacts["onnx"], SETTINGS))
    with pytest.raises(DeviceError, match="cannot run"):
        device.open(tiny_artifacts["onnx"])
    assert "batch is 2" in failure(device.measure(artifact, replace(SETTINGS, batch=2)))
    assert "threads is 3" in failure(device.measure(artifact, replace(SETTINGS, threads=3)))
    assert "cannot read" in failure(device.measure(replace(artifact, path=tmp_path / "none"), SETTINGS))
    (tmp_path / "changed").write_bytes(b"else")
    assert "has changed" in failure(device.measure(replace(artifact, path=tmp_path / "changed"), SETTINGS))


@pytest.mark.parametrize(
    "options",
    [
        {"serial": ""}, {"serial": "-a"}, {"serial": 5}, {"cores": []}, {"cores": [-1]}, {"cores": "67"},
        {"cores": [True]}, {"runs": 0}, {"runs": True}, {"benchmark_model": "a\0b"}, {"adb": ""},
    ],
)  # fmt: skip
def test_wrong_option_is_an_error(options: dict[str, Any]) -> None:
    with pytest.raises(DeviceError, match=f"android option {next(iter(options))}"):
        AndroidDevice(**options)
