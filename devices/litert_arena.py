"""The tensor arena of a TFLite file: the memory that LiteRT lays its activations out in. Counted, nothing is run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from devices.errors import DeviceError
from devices.litert_cpu import load_runtime

_ALIGNMENT_BYTES = 64
"""Tensors of one block follow each other at most this far apart."""


@dataclass(frozen=True, slots=True)
class TensorArena:
    """Memory that one inference takes for activations, scratch tensors of the kernels included.

    Attributes:
        bytes: of the whole arena, as it is laid out for one inference.
        without_image_bytes: of the same without the image that the caller hands in. Our files take it as float32 and
            quantise it first; on a microcontroller the int8 image, which is counted here, is all there is.
    """

    bytes: int
    without_image_bytes: int


def tensor_arena(content: bytes) -> TensorArena:
    """Have LiteRT lay out a TFLite file's tensors, without XNNPACK, and see where they lie.

    It is asked for its reference kernels: those of its microcontroller library are written after them, and they need
    none of the copies that make a large processor's kernels fast. Weights stay where they are in the file and are no
    part of the arena.

    Args:
        content: the file's bytes.

    Raises:
        DeviceError: LiteRT is not installed, or cannot load the file.
    """
    try:
        runtime, _ = load_runtime()
    except Exception as error:  # a broken installation may fail in any way
        raise DeviceError(
            f"the tensor arena is what LiteRT lays out, and it cannot be imported ({error}); pip install ai-edge-litert"
        ) from error
    try:
        interpreter = runtime.Interpreter(
            model_content=content,
            num_threads=1,
            experimental_op_resolver_type=runtime.OpResolverType.BUILTIN_REF,
        )
        interpreter.allocate_tensors()
    except Exception as error:  # LiteRT has its own kinds
        raise DeviceError(f"LiteRT cannot lay out this TFLite file: {error}") from error
    spans = dict(_spans(interpreter, content))
    images = {tensor["index"] for tensor in interpreter.get_input_details()}
    inside = [span for index, span in spans.items() if index not in images]
    return TensorArena(_covered(spans.values()), _covered(inside))


def _spans(interpreter: Any, content: bytes) -> Iterator[tuple[int, tuple[int, int]]]:  # noqa: ANN401
    """First and last address of every tensor that does not lie in the file, by the tensor's index."""
    file = np.frombuffer(content, np.uint8)
    start = file.ctypes.data
    for tensor in interpreter.get_tensor_details():
        try:
            view = interpreter.tensor(tensor["index"])()
        except ValueError:  # a tensor that no operator uses has no memory
            continue
        address = view.ctypes.data
        if view.nbytes and not start <= address < start + file.nbytes:
            yield tensor["index"], (address, address + view.nbytes)


def _covered(spans: Iterable[tuple[int, int]]) -> int:
    """Bytes from the first to the last address, block by block: tensors that keep a state lie in their own."""
    total, end = 0, None
    for first, last in sorted(spans):
        if end is None or first > end + _ALIGNMENT_BYTES:
            total, end = total + last - first, last
        elif last > end:
            total, end = total + last - end, last
    return total
