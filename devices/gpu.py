"""Which NVIDIA GPU a program would compute on, as CUDA's driver tells it."""

from __future__ import annotations

import os
import sys

from devices.errors import DeviceError
from devices.program import run_program

_ASK_TIMEOUT_S = 60.0
"""The first start of CUDA on a small board takes its time."""
_ASK = """
import ctypes
cuda, gpu, name, found = ctypes.CDLL("libcuda.so.1"), ctypes.c_int(), ctypes.create_string_buffer(256), ctypes.c_int()
def tell(attribute):
    assert cuda.cuDeviceGetAttribute(ctypes.byref(found), attribute, gpu) == 0
    return found.value
assert cuda.cuInit(0) == 0 and cuda.cuDeviceGet(ctypes.byref(gpu), 0) == 0
assert cuda.cuDeviceGetName(name, len(name), gpu) == 0
print(f"{name.value.decode(errors='replace')}, {tell(16)} multiprocessors, {tell(37)}-bit memory")
"""
"""CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT and CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH of CUDA's driver API: unlike
GPUs of one name differ in these."""
_known: dict[tuple[str | None, ...], str] = {}


def gpu_model() -> str:
    """The first GPU that CUDA sees, such as ``NVIDIA A2, 10 multiprocessors, 128-bit memory``; ``unknown`` without one.

    It is the one that programs take that are started now: ``CUDA_VISIBLE_DEVICES`` may choose another.
    """
    chosen = tuple(os.environ.get(name) for name in ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"))
    if chosen not in _known:
        try:  # in a process of its own: CUDA cannot be forgotten, and a process that knows it cannot be forked
            done = run_program([sys.executable, "-I", "-S", "-c", _ASK], _ASK_TIMEOUT_S)
        except DeviceError:
            return "unknown"
        if done.code != 0:
            return "unknown"
        _known[chosen] = done.stdout.strip()
    return _known[chosen]
