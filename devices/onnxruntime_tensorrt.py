"""ONNX Runtime with TensorRT underneath, where its GPU package is installed."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import ClassVar

from devices.device import DeviceInfo
from devices.engines import engines_folder, use_engine
from devices.errors import DeviceError
from devices.gpu import gpu_model
from devices.jetson_state import read_power_mode
from devices.onnxruntime_cpu import OnnxRuntimeCPU, OnnxRuntimeModel
from devices.registry import register_device
from devices.runtime_model import RuntimeModel

_PROVIDER = "TensorrtExecutionProvider"


@register_device("onnxruntime_tensorrt")
class OnnxRuntimeTensorRT(OnnxRuntimeCPU):
    """ONNX Runtime with its TensorRT provider on an NVIDIA GPU: ONNX files, float32 and INT8."""

    name: ClassVar[str] = "onnxruntime_tensorrt"
    remedy: ClassVar[str] = (
        "install ONNX Runtime with TensorRT (pip install onnxruntime-gpu, on a Jetson NVIDIA's own wheel) and TensorRT"
    )

    def info(self) -> DeviceInfo:
        """Who the device is; works even where the runtime is missing."""
        found = replace(super().info(), kind="gpu")
        if found.runtime_version == "missing":
            return found
        options = (("gpu", gpu_model()), ("power_mode", read_power_mode() or "unknown"))
        return replace(found, options=(*found.options, *options))

    def runtime_version(self) -> str:
        """Import the runtime and tell its version.

        Raises:
            DeviceError: it was built without TensorRT.
        """
        import onnxruntime  # noqa: PLC0415 (only where it is measured)

        if _PROVIDER not in onnxruntime.get_available_providers():
            raise DeviceError(f"onnxruntime {onnxruntime.__version__} has no {_PROVIDER}")
        return str(onnxruntime.__version__)

    def load(self, content: bytes, input_shape: tuple[int, int, int], threads: int) -> RuntimeModel:
        """Load an ONNX file's bytes; the engine is kept for the next time.

        Raises:
            DeviceError: not one image of this shape in, or TensorRT did not take the file and the processor would have
                been measured; other malformed files raise ONNX Runtime's own errors.
        """
        import onnxruntime  # noqa: PLC0415

        # The provider tells engines apart by names of tensors and the GPU's generation, which whole spaces share.
        digest = hashlib.sha256(content + gpu_model().encode()).hexdigest()
        cache = engines_folder("onnxruntime_tensorrt") / digest
        cache.mkdir(parents=True, exist_ok=True)
        use_engine(cache)
        settings = {"trt_engine_cache_enable": True, "trt_engine_cache_path": str(cache), "trt_int8_enable": True}
        session = onnxruntime.InferenceSession(
            content, self.session_options(threads), providers=[(_PROVIDER, settings)]
        )
        if session.get_providers()[0] != _PROVIDER:
            raise DeviceError(f"ONNX Runtime fell back to {session.get_providers()[0]}; see its log for why")
        return OnnxRuntimeModel(session, input_shape)
