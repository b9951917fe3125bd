"""LiteRT, formerly TensorFlow Lite, on this machine's processor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from devices.artifact import Artifact, Format
from devices.device import FloatArray, LoadedModel
from devices.errors import DeviceError
from devices.native_log import without_greeting
from devices.registry import register_device
from devices.runtime_model import RuntimeModel
from devices.worker_device import WorkerDevice

if TYPE_CHECKING:
    from ai_edge_litert.interpreter import Interpreter


@register_device("litert_cpu")
class LiteRTCPU(WorkerDevice):
    """LiteRT (TensorFlow Lite) with XNNPACK on this machine's processor: TFLite files, float32 and INT8."""

    name: ClassVar[str] = "litert_cpu"
    formats: ClassVar[tuple[Format, ...]] = ("tflite",)
    runtime: ClassVar[str] = "litert"
    delegate: ClassVar[str] = "XNNPACK"
    remedy: ClassVar[str] = (
        "install it with: pip install ai-edge-litert (or tflite-runtime where that is what there is)"
    )

    def runtime_version(self) -> str:
        """Import the runtime and tell its name and version."""
        return load_runtime()[1]

    def open(self, artifact: Artifact, threads: int = 1) -> LoadedModel:
        """Load a model file in this process, as every ``WorkerDevice`` does, without a greeting on the screen."""
        with without_greeting():
            return super().open(artifact, threads)

    def load(self, content: bytes, input_shape: tuple[int, int, int], threads: int) -> RuntimeModel:
        """Load a TFLite file's bytes.

        Raises:
            DeviceError: not one image of this shape in; other malformed files raise LiteRT's own errors.
        """
        interpreter = load_runtime()[0].Interpreter(model_content=content, num_threads=threads)
        interpreter.allocate_tensors()
        return _LiteRTModel(interpreter, input_shape)


class _LiteRTModel(RuntimeModel):
    def __init__(self, interpreter: Interpreter, input_shape: tuple[int, int, int]) -> None:
        super().__init__(input_shape)
        channels, height, width = input_shape
        inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
        shape = (1, height, width, channels)
        if len(inputs) != 1 or tuple(inputs[0]["shape"]) != shape or len(outputs) != 1:
            found = [(tensor["name"], tuple(tensor["shape"])) for tensor in inputs]
            raise DeviceError(f"the TFLite file takes {found}; it should take one image {shape} and give one output")
        self._interpreter = interpreter
        self._input, self._output = inputs[0], outputs[0]

    def bind(self, image: FloatArray) -> Callable[[], object]:
        self._set(image)
        return cast("Callable[[], object]", self._interpreter.invoke)

    def close(self) -> None:
        self._interpreter = None

    def _infer(self, image: FloatArray) -> FloatArray:
        self._set(image)
        self._interpreter.invoke()
        return _dequantised(self._interpreter.get_tensor(self._output["index"]), self._output)

    def _set(self, image: FloatArray) -> None:
        channels_last = np.ascontiguousarray(image.transpose(0, 2, 3, 1))
        self._interpreter.set_tensor(self._input["index"], _quantised(channels_last, self._input))


def load_runtime() -> tuple[ModuleType, str]:
    """The module that holds the interpreter, and the runtime's name and version.

    ``tflite-runtime`` is taken where ``ai-edge-litert`` is not installed: the same API under its older name.

    Raises:
        ImportError: neither is installed, or what is installed is broken.
    """
    try:
        import ai_edge_litert  # noqa: PLC0415 (only where it is measured)
        from ai_edge_litert import interpreter  # noqa: PLC0415
    except ModuleNotFoundError:
        import tflite_runtime  # noqa: PLC0415
        from tflite_runtime import interpreter  # noqa: PLC0415

        return interpreter, f"tflite-runtime {tflite_runtime.__version__}"
    return interpreter, f"ai-edge-litert {ai_edge_litert.__version__}"


def _quantised(values: FloatArray, tensor: Mapping[str, Any]) -> NDArray[Any]:
    """Values as the tensor stores them: files may take float32 or integers with a scale."""
    kind = np.dtype(tensor["dtype"])
    if kind.kind == "f":
        return values.astype(kind)
    scale, zero = tensor["quantization"]
    limits = np.iinfo(kind)
    whole: NDArray[Any] = np.clip(np.round(values / scale) + zero, limits.min, limits.max).astype(kind)
    return whole


def _dequantised(values: NDArray[Any], tensor: Mapping[str, Any]) -> FloatArray:
    if np.dtype(tensor["dtype"]).kind == "f":
        return np.asarray(values, dtype=np.float32)
    scale, zero = tensor["quantization"]
    return np.asarray((values.astype(np.float32) - zero) * scale, dtype=np.float32)
