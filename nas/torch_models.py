"""Networks in PyTorch as devices run them: loaded from network files, one image at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from devices import DeviceError, RuntimeModel
from devices.device import FloatArray
from nas.export.network_file import read_network
from supernet import deployed_network

_BEFORE_RECORDING = 3
"""Inferences in which CUDA's libraries choose their kernels and take their memory, which cannot be recorded."""


def load_module(content: bytes, input_shape: tuple[int, int, int]) -> nn.Module:
    """The module of a network file's bytes.

    Raises:
        ExportError: no network file.
        DeviceError: the network does not take one image of this shape.
    """
    network, weights = read_network(content)
    if network.input.shape != input_shape or len(network.output.shape) != 1:
        raise DeviceError(
            f"the network takes {network.input.shape} and gives {network.output.shape}; "
            f"it should take one image {input_shape} and give a vector"
        )
    return deployed_network(network, weights)


class EagerModel(RuntimeModel):
    """A module on the processor.

    Args:
        module: takes ``(1, channels, height, width)``.
        input_shape: ``(channels, height, width)`` of the image.
        threads: that it computes with.
    """

    def __init__(self, module: nn.Module, input_shape: tuple[int, int, int], threads: int) -> None:
        super().__init__(input_shape)
        self._module: nn.Module | None = module
        self._threads = threads

    def bind(self, image: FloatArray) -> Callable[[], object]:
        """Lay one image ready; from now on the whole process computes with the model's number of threads."""
        torch.set_num_threads(self._threads)
        module, x = self._module, torch.from_numpy(np.ascontiguousarray(image))
        assert module is not None  # noqa: S101 (it is not closed)

        @torch.inference_mode()
        def run() -> Tensor:
            found: Tensor = module(x)
            return found

        return run

    def close(self) -> None:
        """Free the module."""
        self._module = None

    def _infer(self, image: FloatArray) -> FloatArray:
        with _threads_kept():
            logits = self.bind(image)()
        assert isinstance(logits, Tensor)  # noqa: S101 (narrows the type)
        return np.array(logits.numpy(), np.float32)


class GraphModel(RuntimeModel):
    """A module on the GPU whose inference is recorded as a CUDA graph, as PyTorch's notes on CUDA graphs have it.

    Args:
        module: takes ``(1, channels, height, width)``.
        input_shape: ``(channels, height, width)`` of the image.
    """

    def __init__(self, module: nn.Module, input_shape: tuple[int, int, int]) -> None:
        super().__init__(input_shape)
        module = module.cuda()
        self._x = torch.zeros(1, *input_shape, device="cuda")
        aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(_BEFORE_RECORDING):
                module(self._x)
        torch.cuda.current_stream().wait_stream(aside)
        self._graph: torch.cuda.CUDAGraph | None = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._y: Tensor = module(self._x)
        self._module: nn.Module | None = module  # the graph reads its weights where they are
        self._image = torch.zeros(self._x.shape, pin_memory=True)
        self._logits = torch.zeros(self._y.shape, pin_memory=True)

    def bind(self, image: FloatArray) -> Callable[[], object]:
        """Lay one image ready; every call of the result copies it to the GPU, computes, and waits for the logits."""
        self._image.copy_(torch.from_numpy(np.ascontiguousarray(image)))
        graph, x, y, source, target = self._graph, self._x, self._y, self._image, self._logits
        assert graph is not None  # noqa: S101 (it is not closed)

        def run() -> Tensor:
            x.copy_(source, non_blocking=True)
            graph.replay()
            target.copy_(y, non_blocking=True)
            torch.cuda.current_stream().synchronize()
            return target

        return run

    def close(self) -> None:
        """Give the GPU's memory back."""
        self._graph = self._module = None
        self._x = self._y = torch.empty(0)
        torch.cuda.empty_cache()

    def _infer(self, image: FloatArray) -> FloatArray:
        self.bind(image)()
        return np.array(self._logits.numpy(), np.float32)


class GpuPeak:
    """Most memory that PyTorch's tensors took on the GPU above what they held when this was made."""

    def __init__(self) -> None:
        torch.cuda.reset_peak_memory_stats()
        self._before_bytes = torch.cuda.memory_allocated()

    def grown_bytes(self) -> int | None:
        """Bytes of the peak since then."""
        return max(0, torch.cuda.max_memory_allocated() - self._before_bytes)


@contextmanager
def _threads_kept() -> Iterator[None]:
    """Leave the process's number of threads as it was: a run computes with its own."""
    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)
