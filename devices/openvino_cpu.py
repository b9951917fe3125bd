"""OpenVINO on this machine's processor."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from devices.artifact import Format
from devices.device import FloatArray
from devices.errors import DeviceError
from devices.registry import register_device
from devices.runtime_model import RuntimeModel
from devices.worker_device import WorkerDevice


@register_device("openvino_cpu")
class OpenVinoCPU(WorkerDevice):
    """OpenVINO on this machine's processor: ONNX files, float32 and INT8."""

    name: ClassVar[str] = "openvino_cpu"
    formats: ClassVar[tuple[Format, ...]] = ("onnx",)
    runtime: ClassVar[str] = "openvino"
    remedy: ClassVar[str] = "install it with: pip install openvino"

    def runtime_version(self) -> str:
        """Import the runtime and tell its version."""
        return str(_runtime().__version__)

    def load(self, content: bytes, input_shape: tuple[int, int, int], threads: int) -> RuntimeModel:
        """Load an ONNX file's bytes.

        What is float32 in the file is computed in float32: left to itself, OpenVINO takes bfloat16 where the processor
        has it.

        Raises:
            DeviceError: not one image of this shape in; other malformed files raise OpenVINO's own errors.
        """
        core = _runtime().Core()
        settings = {
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32",
        }
        return _OpenVinoModel(core.compile_model(core.read_model(content), "CPU", settings), input_shape)


class _OpenVinoModel(RuntimeModel):
    def __init__(self, compiled: Any, input_shape: tuple[int, int, int]) -> None:  # noqa: ANN401 (a runtime without types)
        super().__init__(input_shape)
        shape = [1, *input_shape]
        found = [
            (value.get_any_name(), value.element_type.get_type_name(), str(value.partial_shape))
            for value in compiled.inputs
        ]
        expected = ("f32", str(_runtime().PartialShape(shape)))
        if [value[1:] for value in found] != [expected] or len(compiled.outputs) != 1:
            raise DeviceError(
                f"the ONNX file takes {found}; it should take one float image {tuple(shape)} and give one output"
            )
        self._request = compiled.create_infer_request()

    def bind(self, image: FloatArray) -> Callable[[], object]:
        self._set(image)
        infer: Callable[[], object] = self._request.infer
        return infer

    def close(self) -> None:
        self._request = None

    def _infer(self, image: FloatArray) -> FloatArray:
        self._set(image)
        self._request.infer()
        return np.array(self._request.get_output_tensor().data, dtype=np.float32)

    def _set(self, image: FloatArray) -> None:
        # A copy that the request keeps alive: a tensor that shares the array's memory would not.
        self._request.set_input_tensor(_runtime().Tensor(np.ascontiguousarray(image)))


def _runtime() -> Any:  # noqa: ANN401
    """OpenVINO's module; by name, for it is installed in few places."""
    return importlib.import_module("openvino")
