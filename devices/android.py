"""An Android phone, measured over ``adb`` by TFLite's own ``benchmark_model``."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from devices.adb import Adb
from devices.android_files import put_model, put_program
from devices.android_state import count_cores, read_properties, read_state, throttling
from devices.artifact import Artifact, Format
from devices.benchmark_model import benchmark_arguments, parse_benchmark
from devices.device import DeviceInfo, LoadedModel
from devices.errors import DeviceError
from devices.litert_cpu import LiteRTCPU
from devices.measurement import MOST_THREADS, MeasureSettings
from devices.paths import user_path
from devices.program import Deadline
from devices.program_device import Facts, ProgramDevice, Timed, add_states
from devices.registry import register_device

_ASK_TIMEOUT_S = 20.0
_REMEDY = (
    "give the option benchmark_model the path of TFLite's benchmark_model program for the phone's processor (for most: "
    "android_aarch64_benchmark_model, see https://ai.google.dev/edge/litert/models/measurement)"
)


@register_device("android")
class AndroidDevice(ProgramDevice):
    """Android phone over adb, timed by TFLite's benchmark_model: TFLite files, float32 and INT8.

    The program and the model are copied to the phone once, under their digests. A measurement is several runs of the
    program; it keeps no single samples, so each run gives one, its median (its mean if the program is an old one).

    Args:
        serial: of the phone, as `adb devices` shows it; may be left out where only one is attached.
        benchmark_model: path on this machine of the program for the phone.
        adb: name or path of the adb program.
        cores: numbers of the phone's cores that it may compute on; where the system puts it if left out.
        runs: how many runs a measurement is.

    Raises:
        DeviceError: a value out of its range.
    """

    name: ClassVar[str] = "android"
    formats: ClassVar[tuple[Format, ...]] = ("tflite",)

    def __init__(
        self,
        *,
        serial: str | None = None,
        benchmark_model: str | None = None,
        adb: str = "adb",
        cores: Sequence[int] | None = None,
        runs: int = 5,
    ) -> None:
        self._check_texts("text", {"serial": serial, "benchmark_model": benchmark_model, "adb": adb})
        if serial is not None and serial.startswith("-"):
            raise DeviceError(f"android option serial is {serial!r}; give one that `adb devices` shows")
        if cores is not None and (not isinstance(cores, list | tuple) or not cores or not all(map(_is_core, cores))):
            raise DeviceError(f"android option cores is {cores!r}; give a list of core numbers such as [4, 5]")
        if not isinstance(runs, int) or isinstance(runs, bool) or not 1 <= runs <= 1000:
            raise DeviceError(f"android option runs is {runs!r}; give a whole number from 1 to 1000")
        self._serial, self._runs = serial, runs
        self._adb = str(user_path(adb)) if adb and adb.startswith("~") else adb
        self._cores = tuple(sorted(set(cores))) if cores is not None else ()
        self._program = user_path(benchmark_model) if benchmark_model is not None else None
        self._known: DeviceInfo | None = None

    def info(self) -> DeviceInfo:
        """Who the phone is; once it has told, it is not asked again. Without a phone, what is known without it."""
        if self._known is None:
            try:
                phone = self._choose()
                self._known = self._identify(phone)
                self._serial = phone.serial  # from now on no other will do
            except DeviceError:
                return self._describe({}, 0, self._serial or "")
        return self._known

    def unavailable_reason(self) -> str | None:
        """Why nothing can be measured on the phone and what to do about it, or none."""
        try:
            self._choose()
            self._read_program()
        except DeviceError as error:
            return str(error)
        return None

    def open(self, artifact: Artifact, threads: int = 1) -> LoadedModel:
        """Load the file into LiteRT on this machine, which computes what LiteRT on the phone does.

        Raises:
            DeviceError: as the device ``litert_cpu`` does.
        """
        self._check_format(artifact)
        return LiteRTCPU().open(artifact, threads)

    def _surroundings(self) -> Facts:
        """What is known of this machine, which is not the one that is measured."""
        return {"host_" + name if name != "time" else name: text for name, text in super()._surroundings().items()}

    def _check(self, artifact: Artifact, settings: MeasureSettings) -> None:
        super()._check(artifact, settings)
        if self._cores and settings.threads > len(self._cores):
            raise DeviceError(f"threads is {settings.threads} and the option cores names {len(self._cores)}")

    def _time(self, artifact: Artifact, settings: MeasureSettings, environment: Facts) -> Timed:
        """Put the program and the file on the phone and run it several times."""
        deadline = Deadline(settings.timeout_s)
        phone, info = self._choose(), self.info()
        environment |= {"phone": info.cpu, "system": info.system, **dict(info.options)}
        environment |= {"runtime": info.runtime, "runtime_version": info.runtime_version, "delegate": "xnnpack"}
        program = put_program(phone, *self._read_program(), deadline)
        model = put_model(phone, artifact.path, artifact.sha256, deadline)
        pinned = ["taskset", f"{sum(1 << core for core in self._cores):x}"] if self._cores else []
        command = [*pinned, *benchmark_arguments(program, model, settings, self._runs)]
        before = self._state(phone, info.cores, deadline)
        try:
            runs = [parse_benchmark(phone.shell(command, deadline.left_s(), lasting=True)) for _ in range(self._runs)]
        except DeviceError:
            with contextlib.suppress(DeviceError):  # it may go on after adb was stopped
                phone.shell(["pkill", "-f", artifact.sha256], _ASK_TIMEOUT_S, check=False)
            raise
        after = self._state(phone, info.cores, deadline)
        add_states(environment, before, after)
        doubt = throttling(before, after)
        if doubt:
            environment["doubt"] = doubt
        inferences = sum(run.count for run in runs)
        environment["samples"] = f"{runs[0].statistic} of each of {len(runs)} runs, {inferences} inferences in all"
        environment["benchmark_model_runs"] = json.dumps([run.to_json() for run in runs])
        latencies = tuple(run.latency_s for run in runs)
        flags = ("throttled",) if doubt else ()
        return Timed(latencies, runs[0].load_s, runs[0].first_inference_s, flags)

    def _choose(self) -> Adb:
        """The phone by its serial, whether or not one was given: another may be plugged in meanwhile."""
        return Adb(self._adb, Adb(self._adb, self._serial).choose().serial)

    def _identify(self, phone: Adb) -> DeviceInfo:
        properties = read_properties(lambda words: phone.shell(words, _ASK_TIMEOUT_S, check=False))
        cores = count_cores(lambda words: phone.shell(words, _ASK_TIMEOUT_S, check=False))
        return self._describe(properties, cores, phone.serial or "")

    def _describe(self, properties: dict[str, str], cores: int, serial: str) -> DeviceInfo:
        def first(*names: str) -> str:
            return next((properties[name] for name in names if properties.get(name)), "")

        model = f"{first('ro.product.manufacturer')} {first('ro.product.model')}".strip()
        chip = first("ro.soc.model", "ro.board.platform", "ro.hardware")
        try:
            version = self._read_program()[1][:16]
        except DeviceError:
            version = "missing"
        options = {
            "serial": serial,
            "android_build": first("ro.build.fingerprint"),
            "cores": ",".join(map(str, self._cores)) or "any",
            "runs": str(self._runs),
        }
        return DeviceInfo(
            name=self.name,
            kind="phone",
            runtime="benchmark_model",
            runtime_version=version,
            cpu=f"{model} ({chip})" if model else "no phone",
            cores=cores,
            machine=first("ro.product.cpu.abi") or "unknown",
            system=f"Android {first('ro.build.version.release')}".strip(),
            options=tuple(options.items()),
        )

    def _read_program(self) -> tuple[Path, str]:
        """The benchmark program on this machine, and the digest of its bytes."""
        if self._program is None:
            raise DeviceError(f"there is no benchmark program; {_REMEDY}")
        try:
            return self._program, hashlib.sha256(self._program.read_bytes()).hexdigest()
        except OSError as error:
            raise DeviceError(f"the benchmark program {self._program} cannot be read ({error}); {_REMEDY}") from error

    def _state(self, phone: Adb, cores: int, deadline: Deadline) -> dict[str, str]:
        pinned = self._cores or tuple(range(min(cores, MOST_THREADS)))
        return read_state(lambda words: phone.shell(words, deadline.left_s(), check=False), pinned)


def _is_core(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MOST_THREADS
