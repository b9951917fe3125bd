"""Values of a TFLite graph with the order in which their axes are stored.

TFLite kernels want feature maps channels-last, while the network's shapes are channels-first. Every value therefore
carries its storage order; a network's transpose only relabels axes, and data are moved no earlier than a reader needs
another order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from nas.export.flatbuffer import Integers
from nas.export.tflite_model import FlatModel, Option
from search_spaces.network import Shape

Order: TypeAlias = tuple[int, ...]
CHANNELS_LAST: Order = (1, 2, 0)


def plain(rank: int) -> Order:
    """The order of the network's own axes."""
    return tuple(range(rank))


@dataclass(frozen=True, slots=True)
class Value:
    """A tensor and what its axes mean.

    Attributes:
        tensor: index in the model.
        shape: the network's shape of it, batch left out.
        order: axes of ``shape`` in the order in which the tensor stores them.
    """

    tensor: int
    shape: Shape
    order: Order

    def permutation_to(self, order: Order) -> tuple[int, ...]:
        """Positions of the stored axes, batch left out, that bring them into ``order``."""
        return tuple(self.order.index(axis) for axis in order)

    def stays_in_place(self, order: Order) -> bool:
        """Whether ``order`` has the same elements in the same sequence: only axes of size 1 move."""
        wide = [position for position in self.permutation_to(order) if self.shape[self.order[position]] > 1]
        return wide == sorted(wide)


def _image_first(rank: int) -> Order:
    """Height and width, the last two axes, stored before all others."""
    return (rank - 2, rank - 1, *range(rank - 2))


def stored(shape: Shape, order: Order) -> Shape:
    """Shape of a tensor that stores ``shape`` in ``order``, batch included."""
    return (1, *(shape[axis] for axis in order))


class FlatGraph:
    """Adds operators on values, and brings values into the order that a reader needs, each once."""

    def __init__(self) -> None:
        self.model = FlatModel()
        self._moved: dict[tuple[int, tuple[int, ...]], int] = {}

    def input(self, name: str, shape: Shape) -> Value:
        """The graph's input: channels-last where it is a feature map."""
        order = CHANNELS_LAST if len(shape) == 3 else plain(len(shape))
        return Value(self.model.tensor(name, stored(shape, order)), shape, order)

    def apply(  # noqa: PLR0917 (called all over, always with all of them)
        self,
        kind: str,
        inputs: Sequence[Value | int],
        name: str,
        shape: Shape,
        order: Order,
        options: str = "",
        **fields: Option,
    ) -> Value:
        """Add an operator.

        Args:
            kind: name of the built-in operator.
            inputs: values, and indices of constants.
            name: name of its output.
            shape: the network's shape of its output.
            order: storage order of its output.
            options: name of its table of options.
            fields: options that are not at their default.
        """
        output = self.model.tensor(name, stored(shape, order))
        tensors = [value.tensor if isinstance(value, Value) else value for value in inputs]
        return Value(self.model.operator(kind, tensors, output, options, **fields), shape, order)

    def number(self, name: str, value: float) -> int:
        """A float32 constant of one element."""
        return self.model.constant(name, np.array([value], np.float32))

    def indices(self, name: str, values: Sequence[Any]) -> int:
        """An int32 constant: axes, a shape, or pairs of pads."""
        return self.model.constant(name, np.array(values, np.int32))

    def mean(self, source: Value, name: str, axes: Sequence[int]) -> Value:
        """Mean over axes of the network's shape, which stay with size 1."""
        shape = tuple(1 if axis in axes else size for axis, size in enumerate(source.shape))
        positions = sorted(source.order.index(axis) + 1 for axis in axes)
        constant = self.indices(f"{name}.axes", positions)
        return self.apply("MEAN", [source, constant], name, shape, source.order, "ReducerOptions", keepDims=True)

    # -- order of axes --------------------------------------------------------------------------------------------

    def arrange(self, value: Value, order: Order) -> Value:
        """The value stored in this order."""
        if value.order == order:
            return value
        permutation = value.permutation_to(order)
        key = (value.tensor, permutation)
        if key not in self._moved:
            name = f"arranged.{value.tensor}.{''.join(map(str, permutation))}"
            if value.stays_in_place(order):
                moved = self._reshape(value, name, value.shape, order)
            else:
                axes = self.indices(f"{name}.axes", [0, *(position + 1 for position in permutation)])
                moved = self.apply("TRANSPOSE", [value, axes], name, value.shape, order, "TransposeOptions")
            self._moved[key] = moved.tensor
        return Value(self._moved[key], value.shape, order)

    def plain(self, value: Value) -> Value:
        """The value in the network's own order."""
        return self.arrange(value, plain(len(value.shape)))

    def channels_last(self, value: Value) -> Value:
        """A feature map as ``(1, height, width, channels)``."""
        return self.arrange(value, CHANNELS_LAST)

    def rows(self, value: Value) -> Value:
        """The value with its last axis stored last, whatever the order of the others."""
        return value if value.order[-1] == len(value.shape) - 1 else self.plain(value)

    def reshape(self, value: Value, name: str, shape: Shape) -> Value:
        """New shape, same elements in row-major order of the network's own order.

        Channels-last data stay where they are if the channels are kept and only the other axes are regrouped, or if
        height and width are kept and only the channels are, as a channel shuffle does.
        """
        own = plain(len(value.shape))
        if value.stays_in_place(own):
            return self._reshape(value, name, shape, plain(len(shape)))
        if len(shape) > 2 and value.shape[-2:] == shape[-2:] and value.order[:2] == _image_first(len(own))[:2]:
            return self._reshape(self.arrange(value, _image_first(len(own))), name, shape, _image_first(len(shape)))
        keeps_channels = value.order == (*own[1:], 0) and len(shape) > 1 and shape[0] == value.shape[0]
        if keeps_channels:
            return self._reshape(value, name, shape, (*range(1, len(shape)), 0))
        return self._reshape(self.plain(value), name, shape, plain(len(shape)))

    def _reshape(self, value: Value, name: str, shape: Shape, order: Order) -> Value:
        # The batch is left open, so that the same graph also runs on batches (calibration does).
        dims = (-1, *stored(shape, order)[1:])
        inputs = (value, self.indices(f"{name}.shape", dims))
        return self.apply("RESHAPE", inputs, name, shape, order, "ReshapeOptions", newShape=Integers(dims))
