"""Operations of sliding windows in TFLite, whose own padding is not the network's explicit one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from nas.export import tflite_schema as schema
from nas.export.errors import ExportError
from nas.export.tflite_graph import CHANNELS_LAST, FlatGraph, Value
from search_spaces.network import Node, Pool

Pads: TypeAlias = tuple[int, int, int, int]
"""Zeros at (top, left, bottom, right)."""


@dataclass(frozen=True, slots=True)
class Window:
    """A window that slides over a feature map, and where it stops.

    Attributes:
        size: (height, width) of the map.
        output: (height, width) of the result.
        kernel: (height, width) that the window spans, dilation counted.
        stride: step between windows.
        pads: zeros around the map; the last windows may stop short of the far ones.
    """

    size: tuple[int, int]
    output: tuple[int, int]
    kernel: tuple[int, int]
    stride: int
    pads: Pads

    @property
    def reached(self) -> Pads:
        """The part of the pads that windows cover."""
        top, left = self.pads[:2]
        bottom, right = (
            max(0, (self.output[axis] - 1) * self.stride + self.kernel[axis] - self.size[axis] - self.pads[axis])
            for axis in (0, 1)
        )
        return top, left, bottom, right

    @property
    def same(self) -> bool:
        """Whether TFLite's ``SAME`` gives this output with exactly the pads that are reached."""
        reached = self.reached
        for axis in (0, 1):
            total = max((self.output[axis] - 1) * self.stride + self.kernel[axis] - self.size[axis], 0)
            needed = (total // 2, total - total // 2)
            if self.output[axis] != -(-self.size[axis] // self.stride) or reached[axis::2] != needed:
                return False
        return True

    @property
    def explicit(self) -> Pads | None:
        """Pads that an operator of their own must add; None where TFLite's padding does it."""
        return None if self.same or not any(self.reached) else self.reached


def of_node(node: Node, source: Value, kernel: int, stride: int, pads: Pads) -> Window:
    """The square window of a convolution or pooling node."""
    size, output = (source.shape[1], source.shape[2]), (node.shape[1], node.shape[2])
    return Window(size, output, (kernel, kernel), stride, pads)


def padded(graph: FlatGraph, name: str, source: Value, window: Window) -> tuple[Value, dict[str, int]]:
    """A convolution's input, and its options for padding and stride.

    Where TFLite's padding differs from the network's, as with stride 2 on even sizes, zeros are added before. XNNPACK
    merges them into the convolution: in measurements they cost nothing.
    """
    if window.explicit:
        source = _pad(graph, name, source, window.explicit, kind="PAD")
    return source, _fields(graph, window)


def pool(graph: FlatGraph, node: Node, operation: Pool, source: Value, function: int) -> Value:
    """Pooling of a channels-last value, followed by a fused activation.

    Raises:
        ExportError: more padding than half the window, which leaves windows without any element.
    """
    if 2 * max(operation.pads) > operation.kernel:
        raise ExportError(
            f"pool {node.name!r}: pads {operation.pads} are more than half of its window of {operation.kernel}"
        )
    window = of_node(node, source, operation.kernel, operation.stride, operation.pads)
    size = {"filterHeight": operation.kernel, "filterWidth": operation.kernel}
    fields = _fields(graph, window) | size | {"fusedActivationFunction": function}
    if operation.kind == "max":
        if window.explicit:
            # A mirrored border holds only elements that its windows cover anyway: their maximum is unchanged, and so
            # is the value range, which a border of lowest floats would ruin for INT8.
            mode = schema.MirrorPadMode.SYMMETRIC
            source = _pad(graph, node.name, source, window.explicit, kind="MIRROR_PAD", mode=mode)
        return _pooled(graph, "MAX_POOL_2D", source, node.name, node, fields)
    if not window.explicit:
        return _pooled(graph, "AVERAGE_POOL_2D", source, node.name, node, fields)
    source = _pad(graph, node.name, source, window.explicit, kind="PAD")
    fields["fusedActivationFunction"] = schema.FusedActivation.NONE
    counted = _pooled(graph, "AVERAGE_POOL_2D", source, f"{node.name}.counted", node, fields)
    ratio = graph.model.constant(f"{node.name}.ratio", _window_over_elements(window))
    active = {"fusedActivationFunction": function}
    return graph.apply("MUL", [counted, ratio], node.name, node.shape, CHANNELS_LAST, "MulOptions", **active)


def _pooled(graph: FlatGraph, kind: str, source: Value, name: str, node: Node, fields: dict[str, int]) -> Value:  # noqa: PLR0917
    return graph.apply(kind, [source], name, node.shape, CHANNELS_LAST, "Pool2DOptions", **fields)


def _fields(graph: FlatGraph, window: Window) -> dict[str, int]:
    padding = schema.Padding.SAME if window.same else schema.Padding.VALID
    return {"padding": padding, "strideH": window.stride, "strideW": window.stride}


def _pad(graph: FlatGraph, name: str, source: Value, pads: Pads, *, kind: str, **fields: int) -> Value:
    top, left, bottom, right = pads
    amounts = graph.indices(f"{name}.pads", [[0, 0], [top, bottom], [left, right], [0, 0]])
    channels, height, width = source.shape
    shape = (channels, height + top + bottom, width + left + right)
    options = "MirrorPadOptions" if kind == "MIRROR_PAD" else "PadOptions"
    return graph.apply(kind, [source, amounts], f"{name}.padded", shape, CHANNELS_LAST, options, **fields)


def _window_over_elements(window: Window) -> NDArray[np.float32]:
    """Size of each window over the elements in it that are not padding, shape ``(1, height, width, 1)``."""
    covered = []
    for axis in (0, 1):
        start = np.arange(window.output[axis]) * window.stride - window.pads[axis]
        covered.append(np.minimum(start + window.kernel[axis], window.size[axis]) - np.maximum(start, 0))
    ratio = window.kernel[0] * window.kernel[1] / (covered[0][:, None] * covered[1][None, :])
    return np.asarray(ratio, np.float32)[None, :, :, None]
