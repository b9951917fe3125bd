"""A model file that a device can run."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from devices.errors import DeviceError

Format: TypeAlias = Literal["onnx", "tflite", "network"]
"""``network`` is this project's own: the network as it is described, with its weights."""
Precision: TypeAlias = Literal["float32", "int8", "int8_symmetric"]
"""``int8_symmetric`` is INT8 without zero points, which is all that TensorRT computes with."""

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Workload:
    """What one inference takes, as counted from the network; a simulated device works from it.

    Attributes:
        macs: multiply-accumulates for one image.
        parameters: weights and biases that are read.
        activation_elements: elements of all feature maps that are written.
    """

    macs: int
    parameters: int
    activation_elements: int


@dataclass(frozen=True, slots=True)
class Artifact:
    """A model file for one image at a time, and the digest that names its content.

    Attributes:
        path: where the file is.
        format: the kind of file.
        precision: of the weights and activations inside; input and output are float32 in either case.
        input_shape: ``(channels, height, width)`` of the image.
        sha256: digest of the file's bytes, 64 hexadecimal digits. Devices refuse a file that no longer has it.
        workload: counted cost, where it is known.

    Raises:
        DeviceError: a field that is not of the kind above.
    """

    path: Path
    format: Format
    precision: Precision
    input_shape: tuple[int, int, int]
    sha256: str
    workload: Workload | None = None

    def __post_init__(self) -> None:
        """Check the fields, which may come from a file."""
        if self.format not in get_args(Format):
            raise DeviceError(f"artifact format is {self.format!r}; allowed: {list(get_args(Format))}")
        if self.precision not in get_args(Precision):
            raise DeviceError(f"artifact precision is {self.precision!r}; allowed: {list(get_args(Precision))}")
        if len(self.input_shape) != 3 or not all(isinstance(n, int) and n > 0 for n in self.input_shape):
            raise DeviceError(f"artifact input shape is {self.input_shape}; give positive (channels, height, width)")
        if not _SHA256.fullmatch(self.sha256):
            raise DeviceError(f"artifact sha256 is {self.sha256!r}; give 64 hexadecimal digits, as from_file computes")

    @classmethod
    def from_file(
        cls,
        path: Path,
        *,
        format: Format,
        precision: Precision,
        input_shape: tuple[int, int, int],
        workload: Workload | None = None,
    ) -> Artifact:
        """Describe a file and compute its digest.

        Raises:
            DeviceError: a file that cannot be read, or a field that is not allowed.
        """
        digest = hashlib.sha256(_read(path)).hexdigest()
        return cls(path, format, precision, input_shape, digest, workload)

    def read(self) -> bytes:
        """The file's content.

        Raises:
            DeviceError: a file that cannot be read, or that has changed since it was described.
        """
        content = _read(self.path)
        found = hashlib.sha256(content).hexdigest()
        if found != self.sha256:
            raise DeviceError(
                f"{self.path} has changed: its sha256 was {self.sha256[:12]}… when it was described and is "
                f"{found[:12]}… now; export it again, or describe the new file with Artifact.from_file"
            )
        return content

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return {**asdict(self), "path": str(self.path), "input_shape": list(self.input_shape)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Artifact:
        """The inverse of ``to_json``.

        Raises:
            DeviceError: not such an object.
        """
        try:
            fields = dict(data)
            workload = fields.pop("workload", None)
            path, shape = Path(fields.pop("path")), tuple(fields.pop("input_shape"))
            return cls(path=path, input_shape=shape, workload=Workload(**workload) if workload else None, **fields)
        except (KeyError, TypeError, ValueError) as error:
            raise DeviceError(f"this is not an artifact as to_json writes it ({error!r}): {data}") from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DeviceError(f"cannot read the model file {path}: {error.strerror or error}; export it again") from error
