"""What is asked of a measurement, and what came of it."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any, Literal

from devices.artifact import Artifact, Format, Precision
from devices.errors import DeviceError
from devices.interval import median_interval

MOST_THREADS = 1024
"""More threads than any device here has: such a number was not meant."""

AGE = "age_s"
"""Name in a measurement's environment: seconds that it had waited where it was made before it came here; ``nan`` where
nobody knows."""

REFUSED = "refused"
"""Name in a failed measurement's environment: the file was not even tried, for this reason, so it is not to blame."""

_MOST_SAMPLES = 1_000_000
_NOT_IN_KEY = ("timeout_s", "thorough")
_LATER_DEFAULTS = {"ci_width": 0.03, "visit": 0}


@dataclass(frozen=True, slots=True)
class MeasureSettings:
    """How to measure: timing stops when least time, least count and ``ci_width`` are all met, or at the longest time.

    Attributes:
        threads: threads that the runtime may compute with.
        batch: images an inference; the files this project writes take one.
        min_warmup_s: inferences run for this long before any is timed, and up to three times as long until they are
            steady.
        min_time_s: least time over which samples are taken.
        min_count: least number of samples.
        max_time_s: samples are taken no longer than this, even if there are fewer than ``min_count``.
        timeout_s: a worker that has not answered after this long is stopped, and the measurement has failed.
        ci_width: widest 95 % confidence interval of the median, as a share of the median; samples are taken until it is
            met, and the measurement is flagged ``unsteady`` where it is not. None asks for none.
        visit: which of several measurements of one file with the same settings this is; 0 is the one that counts.
        thorough: rehearse first, and find the peak memory in a run of its own. Without it there is no peak memory, and
            load and first inference are not rehearsed: for another visit to a file of which these are known.

    Raises:
        DeviceError: a value out of its range, or times that contradict each other.
    """

    threads: int = 1
    batch: int = 1
    min_warmup_s: float = 0.1
    min_time_s: float = 0.5
    min_count: int = 50
    max_time_s: float = 10.0
    timeout_s: float = 60.0
    ci_width: float | None = 0.03
    visit: int = 0
    thorough: bool = True

    def __post_init__(self) -> None:
        """Check the values, which come from a configuration."""
        for name, most in (("threads", MOST_THREADS), ("batch", MOST_THREADS), ("min_count", _MOST_SAMPLES)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
                raise DeviceError(f"measure setting {name} is {value!r}; give a whole number from 1 to {most}")
        for name in ("min_warmup_s", "min_time_s", "max_time_s", "timeout_s"):
            value = getattr(self, name)
            if isinstance(value, bool) or not math.isfinite(value) or value < 0:
                raise DeviceError(f"measure setting {name} is {value!r}; give seconds, at least 0")
        if self.ci_width is not None and (isinstance(self.ci_width, bool) or not 0 < self.ci_width <= 1):
            raise DeviceError(f"measure setting ci_width is {self.ci_width!r}; give a share from 0 to 1, or none")
        if not isinstance(self.visit, int) or isinstance(self.visit, bool) or self.visit < 0:
            raise DeviceError(f"measure setting visit is {self.visit!r}; give a whole number, at least 0")
        if not isinstance(self.thorough, bool):
            raise DeviceError(f"measure setting thorough is {self.thorough!r}; give true or false")
        if self.min_time_s > self.max_time_s:
            raise DeviceError(
                f"min_time_s {self.min_time_s} is more than max_time_s {self.max_time_s}; raise max_time_s"
            )
        if self.timeout_s <= self.min_warmup_s + self.max_time_s:
            raise DeviceError(
                f"timeout_s {self.timeout_s} leaves no time beyond warm-up ({self.min_warmup_s} s) and timing "
                f"({self.max_time_s} s); raise timeout_s or lower max_time_s"
            )

    @property
    def max_warmup_s(self) -> float:
        """Longest warm-up in seconds: three times the least, and never more than half of what the time-out leaves."""
        return min(3 * self.min_warmup_s, (self.min_warmup_s + self.timeout_s - self.max_time_s) / 2)

    @property
    def key(self) -> str:
        """Digest of everything that the samples depend on: 16 hexadecimal digits. The time-out is not part of it.

        What earlier versions did not have is part of it only where it is not the default, so that their ledgers are
        found.
        """
        fields = {name: value for name, value in asdict(self).items() if name not in _NOT_IN_KEY}
        fields = {name: value for name, value in fields.items() if value != _LATER_DEFAULTS.get(name, ...)}
        numbers = {name: None if value is None else float(value) for name, value in fields.items()}
        return hashlib.sha256(json.dumps(numbers, sort_keys=True).encode()).hexdigest()[:16]

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Measurement:
    """One model file measured on one device, or the reason why it could not be.

    Attributes:
        artifact_sha256: digest of the file that was measured.
        format: of the file.
        precision: of the file.
        device: the device's registered name.
        settings: what was asked.
        latencies_s: every timed inference in seconds, in the order of timing; empty if it failed.
        load_s: seconds from the file's bytes to a runtime that is ready; none if it failed.
        first_inference_s: seconds of the first inference, which is no part of the samples.
        peak_memory_bytes: most memory taken above what the process held before loading, where it is known.
        environment: what was found around the measurement, as pairs of texts.
        error: why there are no samples.
        flags: what speaks against the samples, such as ``busy`` or ``unsteady``; see ``devices.watch`` and
            ``devices.interval``.
        drift: by how much the device was slower than usual while it measured, as a sentinel network tells: samples
            divided by it are what the usual device would have taken. None where nobody watched.
        energy_j: joules an inference that the processor's packages took, all that ran on them included; none without a
            sensor that may be read.
        source: always ``"measured"``; predictions are no measurements.

    Raises:
        DeviceError: not exactly one of samples and error.
    """

    artifact_sha256: str
    format: Format
    precision: Precision
    device: str
    settings: MeasureSettings
    latencies_s: tuple[float, ...] = ()
    load_s: float | None = None
    first_inference_s: float | None = None
    peak_memory_bytes: int | None = None
    environment: tuple[tuple[str, str], ...] = ()
    error: str | None = None
    flags: tuple[str, ...] = ()
    drift: float | None = None
    energy_j: float | None = None
    source: Literal["measured"] = field(default="measured", kw_only=True)

    def __post_init__(self) -> None:
        """Check that there are either samples or an error."""
        if bool(self.latencies_s) == (self.error is not None):
            raise DeviceError(f"a measurement has samples or an error: {len(self.latencies_s)} samples, {self.error!r}")
        if not all(math.isfinite(sample) and sample >= 0 for sample in self.latencies_s):
            raise DeviceError("a measurement's samples are finite numbers of seconds, at least 0")
        if self.drift is not None and not (math.isfinite(self.drift) and self.drift > 0):
            raise DeviceError(f"a measurement's drift is {self.drift!r}; give a positive number, or none")
        if self.source != "measured":
            raise DeviceError(f"a measurement's source is {self.source!r}; allowed: 'measured'")

    @classmethod
    def failed(
        cls,
        artifact: Artifact,
        device: str,
        settings: MeasureSettings,
        error: str,
        environment: tuple[tuple[str, str], ...] = (),
    ) -> Measurement:
        """The record of a measurement that did not come about."""
        return cls(
            artifact_sha256=artifact.sha256,
            format=artifact.format,
            precision=artifact.precision,
            device=device,
            settings=settings,
            environment=environment,
            error=error,
        )

    @property
    def ok(self) -> bool:
        """Whether there are samples."""
        return self.error is None

    @property
    def median_s(self) -> float:
        """Median latency in seconds.

        Raises:
            DeviceError: the measurement failed.
        """
        return median(self._samples())

    @property
    def p50_s(self) -> float:
        """The median, by its other name."""
        return self.median_s

    @property
    def p90_s(self) -> float:
        """Latency in seconds that nine of ten inferences did not exceed."""
        return self.percentile_s(90)

    @property
    def p99_s(self) -> float:
        """Latency in seconds that 99 of 100 inferences did not exceed."""
        return self.percentile_s(99)

    @property
    def ci_s(self) -> tuple[float, float] | None:
        """95 % confidence interval of the median in seconds; none with too few samples.

        Raises:
            DeviceError: the measurement failed.
        """
        return median_interval(self._samples())

    def corrected_s(self, percent: float = 50) -> float:
        """A percentile in seconds with the device's drift taken out; as it was timed where no drift is known.

        Raises:
            DeviceError: the measurement failed, or a percentile outside 0 to 100.
        """
        return self.percentile_s(percent) / (self.drift or 1.0)

    def percentile_s(self, percent: float) -> float:
        """Latency in seconds at a percentile, linear between neighbouring samples.

        Raises:
            DeviceError: the measurement failed, or a percentile outside 0 to 100.
        """
        if not 0 <= percent <= 100:
            raise DeviceError(f"percentile is {percent}; give 0 to 100")
        ordered = sorted(self._samples())
        position = (len(ordered) - 1) * percent / 100
        low = math.floor(position)
        high = min(low + 1, len(ordered) - 1)
        return ordered[low] + (ordered[high] - ordered[low]) * (position - low)

    def to_json(self) -> dict[str, Any]:
        """As a JSON object, raw samples included."""
        lists = {"latencies_s": list(self.latencies_s), "flags": list(self.flags)}
        return {**asdict(self), **lists, "environment": dict(self.environment)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Measurement:
        """The inverse of ``to_json``.

        Raises:
            DeviceError: not such an object.
        """
        try:
            fields = dict(data)
            fields["settings"] = MeasureSettings(**fields["settings"])
            fields["latencies_s"] = tuple(float(sample) for sample in fields["latencies_s"])
            fields["flags"] = _texts(fields.get("flags", ()))
            fields["environment"] = tuple((str(k), str(v)) for k, v in fields["environment"].items())
            return cls(**fields)
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
            raise DeviceError(f"this is not a measurement as to_json writes it: {error!r}") from error

    def _samples(self) -> tuple[float, ...]:
        if self.error is not None:
            raise DeviceError(f"{self.device} has no latency for artifact {self.artifact_sha256[:12]}…: {self.error}")
        return self.latencies_s


def _texts(values: Any) -> tuple[str, ...]:  # noqa: ANN401 (whatever a file or a device sent)
    if not isinstance(values, list | tuple) or not all(isinstance(value, str) for value in values):
        raise TypeError(f"{values!r} is no list of texts")
    return tuple(values)
