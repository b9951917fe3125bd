"""The compiled kernels, loaded once for each dtype, and the tensors they take."""

from __future__ import annotations

import ctypes
from functools import cache

import torch
from torch import Tensor

from supernet.native.build import BuildError, compiled

_DEFINES: dict[torch.dtype, tuple[str, ...]] = {torch.float32: (), torch.bfloat16: ("BFLOAT16",)}


def usable(x: Tensor) -> bool:
    """Whether there are kernels for this tensor (batch, channels, height, width), which must be channels-last."""
    return (
        x.device.type == "cpu"
        and x.dtype in _DEFINES
        and x.dim() == 4
        and x.numel() > 0
        and x.is_contiguous(memory_format=torch.channels_last)
        and not isinstance(_loaded(x.dtype), str)
    )


def unavailable_reason() -> str | None:
    """Why there are no kernels on this machine, and what to do about it; ``None`` where there are."""
    loaded = _loaded(torch.float32)
    return loaded if isinstance(loaded, str) else None


def call(function: str, dtype: torch.dtype, *arguments: Tensor | int | float) -> None:
    """Call a kernel; it gets as many threads as PyTorch has.

    Args:
        function: its name.
        dtype: of the values; those of a tensor that is ``usable``.
        arguments: in the kernel's order, but for the threads; tensors must be dense.

    Raises:
        MemoryError: there is not enough.
        RuntimeError: there are no kernels.
    """
    library = _loaded(dtype)
    if isinstance(library, str):
        raise RuntimeError(library)
    if getattr(library, function)(*map(_argument, arguments), ctypes.c_int64(torch.get_num_threads())):
        raise MemoryError(f"{function} found no memory for its sums")


def _argument(given: Tensor | int | float) -> ctypes.c_void_p | ctypes.c_int64 | ctypes.c_float:
    if isinstance(given, Tensor):
        return ctypes.c_void_p(given.data_ptr())
    return ctypes.c_int64(given) if isinstance(given, int) else ctypes.c_float(given)


@cache
def _loaded(dtype: torch.dtype) -> ctypes.CDLL | str:
    """The kernels, or why there are none."""
    try:
        return ctypes.CDLL(str(compiled(*_DEFINES[dtype])))
    except BuildError as error:
        return str(error)
    except OSError as error:
        return f"the compiled kernels cannot be loaded: {error}"
