"""TensorRT's ``trtexec``: how it is called and what it leaves behind."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from devices.artifact import Artifact
from devices.errors import DeviceError
from devices.measurement import MeasureSettings
from devices.program import Finished

_VERSION = re.compile(r"TensorRT\.trtexec \[TensorRT v(\d+)\]")
_LOADED = re.compile(r"Engine (?:deserialized|loaded) in ([0-9.]+(?:e[+-]?[0-9]+)?) sec")
_MILLI = 1e-3
_SYMMETRIC = (
    "TensorRT takes INT8 files only if their zero points are all 0: set the precision to int8_symmetric, or to "
    "float32 with the option fp16"
)


@dataclass(frozen=True, slots=True)
class Trace:
    """What ``--exportTimes`` wrote, without the warm-up.

    Attributes:
        latencies_s: seconds of every inference, copying the image in and the result out included.
        compute_median_s: median of the seconds that the GPU computed.
        load_s: seconds to make the engine ready, where trtexec tells.
    """

    latencies_s: tuple[float, ...]
    compute_median_s: float
    load_s: float | None


def build_arguments(program: str, artifact: Artifact, engine: Path, *, fp16: bool) -> list[str]:
    """How to call it to make an engine of an ONNX file.

    It then times one inference: newer and older versions have no option in common that leaves this out.

    Args:
        program: trtexec.
        artifact: the ONNX file.
        engine: where the engine is written to.
        fp16: whether layers may be computed in half precision.
    """
    flags = [flag for flag, wanted in (("--int8", artifact.precision != "float32"), ("--fp16", fp16)) if wanted]
    quick = ["--iterations=1", "--duration=0", "--warmUp=0"]
    return [program, f"--onnx={artifact.path.absolute()}", f"--saveEngine={engine}", *flags, *quick]


def time_arguments(
    program: str, engine: Path, times: Path, settings: MeasureSettings, *, cuda_graph: bool
) -> list[str]:
    """How to call it to time an engine, one inference after the other.

    Args:
        program: trtexec.
        engine: the engine.
        times: where the times are written to.
        settings: how to measure.
        cuda_graph: whether an inference is started as one recorded graph.
    """
    return [
        program,
        f"--loadEngine={engine}",
        f"--exportTimes={times}",
        f"--warmUp={math.ceil(settings.min_warmup_s * 1000)}",
        f"--duration={settings.min_time_s:g}",
        f"--iterations={settings.min_count}",
        "--avgRuns=1",
        "--exposeDMA",  # copies are not hidden behind the inference before
        "--useSpinWait",
        *(["--useCudaGraph"] if cuda_graph else []),
    ]


def parse_times(text: str, log: str, warmup_s: float) -> Trace:
    """Read what ``--exportTimes`` wrote, and what was written to the screen meanwhile.

    Some versions leave the warm-up in the times; it is left out here.

    Raises:
        DeviceError: no list of times, or none after the warm-up.
    """
    try:
        rows: list[dict[str, Any]] = json.loads(text)
        timed = [row for row in rows if float(row["startComputeMs"]) >= warmup_s * 1000]
        latencies = tuple(float(row["latencyMs"]) * _MILLI for row in timed)
        computing = [float(row["computeMs"]) * _MILLI for row in timed]
    except (ValueError, KeyError, TypeError) as error:
        raise DeviceError(f"trtexec left no times ({error!r}): {text[:100]!r}") from error
    if not latencies or not all(math.isfinite(value) and value > 0 for value in (*latencies, *computing)):
        raise DeviceError(f"trtexec left {len(latencies)} times after the warm-up, which cannot be used")
    loaded = _LOADED.search(log)
    return Trace(latencies, median(computing), float(loaded.group(1)) if loaded else None)


def parse_version(text: str) -> str | None:
    """TensorRT's version in what trtexec writes first, such as ``10.3.0`` for ``v100300``; none if it is not there."""
    found = _VERSION.search(text)
    if not found:
        return None
    digits = found.group(1)
    size = 2 if len(digits) > 4 else 1  # since TensorRT 10 two digits a part, before one, with two at the end
    parts = (
        (digits[: -2 * size], digits[-2 * size : -size], digits[-size:])
        if size == 2
        else (digits[0], digits[1], digits[2:])
    )
    return ".".join(str(int(part)) for part in parts)


def check_passed(done: Finished, what: str) -> None:
    """Check that trtexec succeeded.

    Raises:
        DeviceError: it did not; the message holds its errors.
    """
    if done.code == 0 and "&&&& FAILED" not in done.stdout + done.stderr:
        return
    lines = [line.strip() for line in (done.stdout + "\n" + done.stderr).splitlines()]
    errors = [re.sub(r"^\[[^\]]*\] (?=\[E\])", "", line) for line in lines if "[E]" in line]
    said = " | ".join(errors[:3]) or done.last_words()
    asymmetric = "symmetric quantization" in said or "zero point" in said.lower() or "UINT8" in said
    raise DeviceError(
        f"trtexec could not {what} (exit code {done.code}): {said}{'; ' + _SYMMETRIC if asymmetric else ''}"
    )
