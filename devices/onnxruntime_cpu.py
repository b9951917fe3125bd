"""ONNX Runtime on this machine's processor."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from devices.artifact import Format
from devices.device import FloatArray
from devices.errors import DeviceError
from devices.registry import register_device
from devices.runtime_model import RuntimeModel
from devices.worker_device import WorkerDevice

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

_ERRORS_ONLY = 3


@register_device("onnxruntime_cpu")
class OnnxRuntimeCPU(WorkerDevice):
    """ONNX Runtime on this machine's processor: ONNX files, float32 and INT8."""

    name: ClassVar[str] = "onnxruntime_cpu"
    formats: ClassVar[tuple[Format, ...]] = ("onnx",)
    runtime: ClassVar[str] = "onnxruntime"
    delegate: ClassVar[str] = "CPUExecutionProvider"
    remedy: ClassVar[str] = "install it with: pip install onnxruntime"

    def runtime_version(self) -> str:
        """Import the runtime and tell its version."""
        import onnxruntime  # noqa: PLC0415 (only where it is measured)

        return str(onnxruntime.__version__)

    def load(self, content: bytes, input_shape: tuple[int, int, int], threads: int) -> RuntimeModel:
        """Load an ONNX file's bytes.

        Raises:
            DeviceError: not one image of this shape in; other malformed files raise ONNX Runtime's own errors.
        """
        import onnxruntime  # noqa: PLC0415

        options = self.session_options(threads)
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        return OnnxRuntimeModel(session, input_shape)

    def session_options(self, threads: int) -> Any:  # noqa: ANN401 (onnxruntime has no types)
        """How a file is run, wherever it is run."""
        import onnxruntime  # noqa: PLC0415

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = threads
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.log_severity_level = _ERRORS_ONLY
        # Threads that spin between inferences take cores away from whatever else is measured or runs.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        return options


class OnnxRuntimeModel(RuntimeModel):
    """An ONNX file in a session of ONNX Runtime.

    Args:
        session: with the file loaded.
        input_shape: ``(channels, height, width)`` of the image.

    Raises:
        DeviceError: not one image of this shape in.
    """

    def __init__(self, session: InferenceSession, input_shape: tuple[int, int, int]) -> None:
        super().__init__(input_shape)
        inputs, outputs = session.get_inputs(), session.get_outputs()
        shape = (1, *input_shape)
        if (
            len(inputs) != 1
            or tuple(inputs[0].shape) != shape
            or inputs[0].type != "tensor(float)"
            or len(outputs) != 1
        ):
            found = [(value.name, value.type, value.shape) for value in inputs]
            raise DeviceError(
                f"the ONNX file takes {found}; it should take one float image {shape} and give one output"
            )
        self._session = session
        self._input, self._output = inputs[0].name, outputs[0].name

    def bind(self, image: FloatArray) -> Callable[[], object]:
        """Lay one image ready; every call of the result is one inference on it."""
        import onnxruntime  # noqa: PLC0415

        binding = self._session.io_binding()
        binding.bind_ortvalue_input(self._input, onnxruntime.OrtValue.ortvalue_from_numpy(image))
        binding.bind_output(self._output, "cpu")
        session = self._session
        return lambda: session.run_with_iobinding(binding)

    def close(self) -> None:
        """Free the session."""
        self._session = None

    def _infer(self, image: FloatArray) -> FloatArray:
        return np.asarray(self._session.run([self._output], {self._input: image})[0], dtype=np.float32)
