"""What every device can be asked: who it is, whether it can run, and how long a model file takes on it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from devices.artifact import Artifact, Format
from devices.measurement import Measurement, MeasureSettings

FloatArray: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """Who a device is, for people and for the ledger.

    Attributes:
        name: the registered name.
        kind: what computes: this machine's processor, its GPU, a phone, or a model of one.
        runtime: name of the software that runs the model file.
        runtime_version: its version, ``"missing"`` if it is not installed.
        cpu: the processor's model name.
        cores: logical processors of the machine.
        machine: instruction set, such as ``x86_64`` or ``aarch64``.
        system: operating system, such as ``Linux``.
        options: what the device was made with where that changes its figures, as pairs of texts.
    """

    name: str
    kind: Literal["cpu", "gpu", "phone", "simulated"]
    runtime: str
    runtime_version: str
    cpu: str
    cores: int
    machine: str
    system: str
    options: tuple[tuple[str, str], ...] = ()

    @property
    def key(self) -> str:
        """Digest of the whole identity, after the name: the same in every process on equal machines."""
        text = json.dumps(asdict(self), sort_keys=True)
        return f"{self.name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return {**asdict(self), "options": dict(self.options), "key": self.key}


@runtime_checkable
class LoadedModel(Protocol):
    """A model file in its runtime, in this process."""

    def predict(self, images: FloatArray) -> FloatArray:
        """Run images through the model, one by one.

        Args:
            images: normalised, ``(count, channels, height, width)``; the runtime's own layout is seen to inside.

        Returns:
            Logits, ``(count, classes)``.

        Raises:
            DeviceError: images of another shape, or an inference that failed.
        """
        ...

    def bind(self, image: FloatArray) -> Callable[[], object]:
        """Lay one image ``(1, channels, height, width)`` ready; every call of the result is one inference on it."""
        ...

    def close(self) -> None:
        """Free the runtime's memory; the model cannot be used afterwards."""
        ...

    def __enter__(self) -> LoadedModel: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


@runtime_checkable
class Device(Protocol):
    """Something that can run model files and say how long they take."""

    @property
    def name(self) -> str:
        """The registered name."""
        ...

    @property
    def formats(self) -> tuple[Format, ...]:
        """Kinds of files it can run."""
        ...

    def info(self) -> DeviceInfo:
        """Who the device is; works even where the runtime is missing."""
        ...

    def unavailable_reason(self) -> str | None:
        """Why nothing can be measured here and what to do about it, or none."""
        ...

    def measure(self, artifact: Artifact, settings: MeasureSettings) -> Measurement:
        """Measure a model file. Whatever goes wrong with it is a failed measurement, never an exception."""
        ...

    def open(self, artifact: Artifact, threads: int = 1) -> LoadedModel:
        """Load a model file into its runtime in this process, to see what it computes.

        Raises:
            DeviceError: a file that is missing, changed or malformed, of a format this device cannot run, or a runtime
                that is missing.
        """
        ...

    def close(self) -> None:
        """Stop what the device keeps running; a later measurement starts it again."""
        ...
