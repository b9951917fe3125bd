"""Depthwise convolutions in TFLite, arranged for XNNPACK."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nas.export.tflite_graph import CHANNELS_LAST, FlatGraph, Value
from nas.export.tflite_schema import FusedActivation
from nas.export.tflite_windows import Window, of_node, padded
from search_spaces.network import Conv, Node

# XNNPACK's largest depthwise kernel. Beyond it, it multiplies matrices channel by channel: a 7x7 layer is then about 8
# times slower in float32, and 30 times in INT8, than the three layers that are written here in its place.
_MOST_TAPS = 25


def depthwise(
    graph: FlatGraph,
    node: Node,
    source: Value,
    *,
    weight: NDArray[np.float32],
    bias: NDArray[np.float32],
    function: int,
) -> Value:
    """A depthwise convolution of a channels-last value, followed by a fused activation.

    A 7x7 kernel becomes the sum of three kernels of three columns: the middle ones, and those at distance 2 and 3 from
    the centre, which are one dilated kernel each. Columns that meet padding alone are left out: on a map narrower than
    the kernel's half they give nothing but zeros, for which INT8 has no scale.

    Args:
        graph: where to add it.
        node: the convolution's node.
        source: what it reads.
        weight: ``(out, 1, k, k)``.
        bias: ``(out,)``.
        function: fused activation.
    """
    conv = node.op
    assert isinstance(conv, Conv)  # noqa: S101 (the writer calls this for convolutions only)
    window = of_node(node, source, conv.kernel, conv.stride, conv.pads)
    layer = _Layer(graph, node, source, weight.transpose(1, 2, 3, 0))
    if not _splits(conv):
        return layer.add(node.name, window, layer.weight, bias, function)
    none = FusedActivation.NONE
    distances = [d for d in range(1, conv.kernel // 2 + 1) if d == 1 or _meets_elements(window, d)]
    if distances == [1]:
        return layer.columns(node.name, window, 1, bias, function)
    total = layer.columns(f"{node.name}.columns_1", window, 1, bias, none)
    for distance in distances[1:]:
        part = layer.columns(f"{node.name}.columns_{distance}", window, distance, np.zeros_like(bias), none)
        last = distance == distances[-1]
        name = node.name if last else f"{node.name}.columns_up_to_{distance}"
        fused = {"fusedActivationFunction": function if last else none}
        total = graph.apply("ADD", [total, part], name, node.shape, CHANNELS_LAST, "AddOptions", **fused)
    return total


def _meets_elements(window: Window, distance: int) -> bool:
    """Whether the columns at this distance from the kernel's middle one ever lie on an element."""
    centres = np.arange(window.output[1]) * window.stride - window.pads[1] + window.kernel[1] // 2
    columns = np.concatenate([centres - distance, centres + distance])
    return bool(((columns >= 0) & (columns < window.size[1])).any())


def _splits(conv: Conv) -> bool:
    fits_in_three_columns = conv.kernel % 2 == 1 and 3 * conv.kernel <= _MOST_TAPS < conv.kernel**2
    # The middle columns reach less far, so they need pads that can shrink by as much.
    return fits_in_three_columns and min(conv.pads[1], conv.pads[3]) >= conv.kernel // 2 - 1


class _Layer:
    """Adds one depthwise operator or several in its place; ``weight`` is stored as ``(1, k, k, out)``."""

    def __init__(self, graph: FlatGraph, node: Node, source: Value, weight: NDArray[np.float32]) -> None:
        self._graph = graph
        self._node = node
        self._source = source
        self.weight = weight

    def columns(self, name: str, whole: Window, distance: int, bias: NDArray[np.float32], function: int) -> Value:
        """The part of the kernel at this distance from its middle column; at 1, the middle column too."""
        centre = whole.kernel[1] // 2
        weight = self.weight[:, :, [centre - distance, centre, centre + distance]]
        if distance > 1:
            weight[:, :, 1] = 0
        top, left, bottom, right = whole.pads
        cut = centre - distance
        window = replace(whole, kernel=(whole.kernel[0], 2 * distance + 1), pads=(top, left - cut, bottom, right - cut))
        return self.add(name, window, weight, bias, function, dilation=distance)

    def add(
        self,
        name: str,
        window: Window,
        weight: NDArray[np.float32],
        bias: NDArray[np.float32],
        function: int,
        *,
        dilation: int = 1,
    ) -> Value:
        """One operator."""
        graph = self._graph
        source, fields = padded(graph, name, self._source, window)
        parameters = [graph.model.constant(f"{name}.weight", weight), graph.model.constant(f"{name}.bias", bias)]
        return graph.apply(
            "DEPTHWISE_CONV_2D",
            [source, *parameters],
            name,
            self._node.shape,
            CHANNELS_LAST,
            "DepthwiseConv2DOptions",
            **fields,
            depthMultiplier=self._node.shape[0] // source.shape[0],
            fusedActivationFunction=function,
            dilationWFactor=dilation,
        )
