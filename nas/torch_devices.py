"""PyTorch as a device, on this machine's processor and on its GPU.

It lives here, and not among the devices, because those need no PyTorch: they run on boards that have none. Importing
this module registers both; PyTorch is imported only where something is measured.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from devices import DeviceError, DeviceInfo, Format, RuntimeModel, WorkerDevice, register_device

if TYPE_CHECKING:
    from devices.memory import Peak


@register_device("torch_cpu")
class TorchCPU(WorkerDevice):
    """PyTorch in eager mode on this machine's processor: network files, float32."""

    name: ClassVar[str] = "torch_cpu"
    formats: ClassVar[tuple[Format, ...]] = ("network",)
    runtime: ClassVar[str] = "pytorch"
    delegate: ClassVar[str] = "eager"
    remedy: ClassVar[str] = "install it with: pip install torch"

    def runtime_version(self) -> str:
        """Import PyTorch and tell its version."""
        import torch  # noqa: PLC0415 (only where it is measured)

        return str(torch.__version__)

    def load(self, content: bytes, input_shape: tuple[int, int, int], threads: int) -> RuntimeModel:
        """Build the network of a network file's bytes.

        Raises:
            DeviceError: not one image of this shape in.
            ExportError: no network file.
        """
        from nas.torch_models import EagerModel, load_module  # noqa: PLC0415 (imports PyTorch)

        return EagerModel(load_module(content, input_shape), input_shape, threads)


@register_device("torch_cuda")
class TorchCUDA(TorchCPU):
    """PyTorch on an NVIDIA GPU, an inference recorded as one CUDA graph: network files, float32.

    An inference is the copy of the image to the GPU, the graph, and the copy of the logits back. It runs on the first
    GPU that ``CUDA_VISIBLE_DEVICES`` shows. What PyTorch does with float32 by default is left as it is, so convolutions
    may be computed in TF32.
    """

    name: ClassVar[str] = "torch_cuda"
    delegate: ClassVar[str] = "CUDA graph"
    on_cpu: ClassVar[bool] = False
    remedy: ClassVar[str] = (
        "install an NVIDIA driver and a PyTorch with CUDA (https://pytorch.org/get-started); `nvidia-smi` shows the "
        "GPUs that there are"
    )

    def info(self) -> DeviceInfo:
        """Who the device is; works even where the GPU is missing."""
        found = replace(super().info(), kind="gpu")
        if found.runtime_version == "missing":
            return found
        import torch  # noqa: PLC0415

        gpu = torch.cuda.get_device_properties(0).name
        tf32 = torch.backends.cudnn.allow_tf32
        options = (*found.options, ("gpu", gpu), ("cuda", str(torch.version.cuda)), ("tf32", str(tf32)))
        return replace(found, options=options)

    def runtime_version(self) -> str:
        """Import PyTorch and tell its version.

        Raises:
            DeviceError: it was built without CUDA, or finds no GPU.
        """
        import torch  # noqa: PLC0415

        if torch.version.cuda is None:
            raise DeviceError(f"PyTorch {torch.__version__} was built without CUDA")
        if not torch.cuda.is_available():
            raise DeviceError(f"PyTorch {torch.__version__} finds no GPU")
        return str(torch.__version__)

    def load(self, content: bytes, input_shape: tuple[int, int, int], threads: int) -> RuntimeModel:
        """Build the network of a network file's bytes on the GPU and record an inference.

        Raises:
            DeviceError: not one image of this shape in.
            ExportError: no network file.
        """
        from nas.torch_models import GraphModel, load_module  # noqa: PLC0415

        return GraphModel(load_module(content, input_shape), input_shape)

    def peak_memory(self) -> Peak:
        """Begin to watch the GPU's memory."""
        from nas.torch_models import GpuPeak  # noqa: PLC0415

        return GpuPeak()
