"""Batches for training and evaluation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, TypeAlias, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from supernet.data.preprocessing import Preprocessing
from supernet.errors import DataError

Padding: TypeAlias = Literal["zeros", "reflect"]


class TrainBatches:
    """Random crops and flips of training images; every batch depends on the seed and its step only.

    An epoch is a permutation of the images; a rest that does not fill a batch is left out, and other images each time.
    Images stay one byte a value on ``device``, where crop, flip and normalisation are one gather and one
    multiplication.

    Args:
        images: shape ``(N, H, W, 3)``.
        labels: shape ``(N,)``.
        preprocessing: how images become inputs.
        batch_size: images a batch.
        seed: of permutations, crops and flips.
        crop_padding: images are padded by this much on every side and cropped back at random, px.
        padding: black, or the image mirrored.
        flip: mirror images from left to right, each with probability 1/2.
        indices: which images to train on; None: all.
        device: where batches are made.
        part: which of how many equal parts of every batch to make, such as (0, 2) for one half.

    Raises:
        DataError: fewer images than a batch needs, a batch that does not split into these parts, or a padding that is
            unknown or does not fit the images.
    """

    def __init__(
        self,
        images: NDArray[np.uint8],
        labels: NDArray[np.int64],
        preprocessing: Preprocessing,
        *,
        batch_size: int,
        seed: int,
        crop_padding: int = 0,
        padding: Padding = "zeros",
        flip: bool = False,
        indices: NDArray[np.int64] | None = None,
        device: torch.device | str = "cpu",
        part: tuple[int, int] = (0, 1),
    ) -> None:
        self._indices = np.arange(len(images)) if indices is None else indices
        count, size = len(self._indices), images.shape[1]
        if not 1 <= batch_size <= count:
            raise DataError(f"train.batch_size is {batch_size}; allowed: 1 to {count}, the number of training images")
        if batch_size % part[1]:
            raise DataError(f"train.batch_size is {batch_size}; give a multiple of {part[1]}, the number of its parts")
        if not 0 <= crop_padding < size:
            raise DataError(f"train.crop_padding is {crop_padding}; allowed: 0 to {size - 1}, for images of {size} px")
        if padding not in get_args(Padding):
            raise DataError(f"padding is {padding!r}; allowed: {', '.join(map(repr, get_args(Padding)))}")
        self._pixels = torch.from_numpy(np.ascontiguousarray(images)).to(device).view(-1, 3)
        self._labels = torch.from_numpy(labels).to(device)
        self._shape = (images.shape[1], images.shape[2])
        self._preprocessing = preprocessing
        self._batch_size = batch_size
        self._seed = seed
        self._crop_padding = crop_padding
        self._padding = padding
        self._flip = flip
        # Every n-th image: where a batch is computed in smaller ones, each of these is split in the same parts.
        self._part = slice(part[0], None, part[1])
        self._epoch_order: tuple[int, NDArray[np.int64]] = (-1, self._indices)

    @property
    def steps_per_epoch(self) -> int:
        """Full batches in an epoch."""
        return len(self._indices) // self._batch_size

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Inputs of shape ``(B, 3, H, W)``, float32 and channels-last, and labels of shape ``(B,)`` of a step.

        Of the step's batch, ``B`` images are this part's; the parts together are the batch that one part would be.
        """
        epoch, position = divmod(step, self.steps_per_epoch)
        chosen = self._order(epoch)[position * self._batch_size : (position + 1) * self._batch_size]
        rows, columns = self._windows(np.random.default_rng((self._seed, 1, step)))
        chosen, rows, columns = (values[self._part] for values in (chosen, rows, columns))
        inputs = self._gather(*(torch.from_numpy(values).to(self._pixels.device) for values in (chosen, rows, columns)))
        return inputs, self._labels[torch.from_numpy(chosen).to(self._labels.device)]

    def _order(self, epoch: int) -> NDArray[np.int64]:
        known, order = self._epoch_order
        if known != epoch:
            order = np.random.default_rng((self._seed, 0, epoch)).permutation(self._indices)
            # One assignment, so that a second thread sees either the old pair or the new one.
            self._epoch_order = (epoch, order)
        return order

    def _windows(self, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Row and column of every pixel to take, shapes ``(B, H)`` and ``(B, W)``; they may lie outside the image."""
        height, width = self._shape
        far = self._crop_padding
        offsets = rng.integers(-far, far + 1, (2, self._batch_size, 1))
        rows, columns = np.arange(height) + offsets[0], np.arange(width) + offsets[1]
        if self._flip:
            mirrored = rng.random((self._batch_size, 1)) < 0.5
            columns = np.where(mirrored, columns[:, ::-1], columns)
        return rows, columns

    def _gather(self, chosen: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        height, width = self._shape
        inside_rows, inside_columns = self._inside(rows, height), self._inside(columns, width)
        lines = chosen[:, None] * height + inside_rows
        index = lines[:, :, None] * width + inside_columns[:, None, :]
        pixels = self._pixels.index_select(0, index.view(-1)).view(-1, height, width, 3)
        if self._padding == "zeros" and self._crop_padding:
            visible = (rows == inside_rows)[:, :, None] & (columns == inside_columns)[:, None, :]
            pixels *= visible[..., None]
        return self._preprocessing.normalise_tensor(pixels)

    def _inside(self, positions: Tensor, size: int) -> Tensor:
        if self._padding == "zeros":
            return positions.clamp(0, size - 1)
        mirrored = positions.abs()
        return torch.where(mirrored < size, mirrored, 2 * (size - 1) - mirrored)


def eval_batches(
    images: NDArray[np.uint8],
    preprocessing: Preprocessing,
    batch_size: int,
    *,
    indices: NDArray[np.int64] | None = None,
    device: torch.device | str = "cpu",
) -> Iterator[Tensor]:
    """Inputs of shape ``(up to batch_size, 3, H, W)``, float32 and channels-last, in order, nothing left out.

    Args:
        images: shape ``(N, H, W, 3)``.
        preprocessing: how images become inputs.
        batch_size: images a batch.
        indices: which images, in which order; None: all.
        device: where batches are made.
    """
    for start in range(0, len(images) if indices is None else len(indices), batch_size):
        chosen = slice(start, start + batch_size)
        part = images[chosen] if indices is None else images[indices[chosen]]
        yield preprocessing.normalise_tensor(torch.from_numpy(np.ascontiguousarray(part)).to(device))
