from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from supernet.data import Preprocessing, TrainBatches, eval_batches
from supernet.errors import DataError

# Inputs are then the stored values themselves.
PLAIN = Preprocessing((0.0, 0.0, 0.0), (1 / 255, 1 / 255, 1 / 255), 6)
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(1, 256, (23, 6, 6, 3), dtype=np.uint8)
LABELS = np.arange(23)


def batches(**options: Any) -> TrainBatches:
    return TrainBatches(IMAGES, LABELS, PLAIN, **{"batch_size": 5, "seed": 0, **options})


def pixels(inputs: torch.Tensor) -> np.ndarray:
    return np.rint(inputs.permute(0, 2, 3, 1).numpy()).astype(int)


def test_without_augmentation_an_epoch_is_a_permutation() -> None:
    made = batches()
    assert made.steps_per_epoch == 4
    epochs = []
    for epoch in range(2):
        seen = []
        for step in range(epoch * 4, epoch * 4 + 4):
            inputs, labels = made.batch(step)
            assert (pixels(inputs) == IMAGES[labels.numpy()]).all()
            seen += labels.tolist()
        assert len(set(seen)) == 20
        epochs.append(seen)
    assert epochs[0] != epochs[1]


def test_shapes_types_and_memory_format() -> None:
    inputs, labels = batches(crop_padding=2, flip=True).batch(0)
    assert inputs.shape == (5, 3, 6, 6)
    assert inputs.dtype == torch.float32
    assert inputs.is_contiguous(memory_format=torch.channels_last)
    assert labels.dtype == torch.int64


@given(st.permutations(range(12)), st.integers(0, 2**32))
def test_a_batch_depends_on_seed_and_step_only(steps: list[int], seed: int) -> None:
    fresh = batches(crop_padding=1, flip=True, seed=seed)
    made = batches(crop_padding=1, flip=True, seed=seed)
    expected = [made.batch(step) for step in range(12)]
    for step in steps[:4]:
        inputs, labels = fresh.batch(step)
        assert torch.equal(inputs, expected[step][0])
        assert torch.equal(labels, expected[step][1])


def test_seeds_and_epochs_give_other_crops() -> None:
    one, other = (batches(crop_padding=2, flip=True, seed=seed, batch_size=23) for seed in (0, 1))
    assert not torch.equal(one.batch(0)[1], other.batch(0)[1])
    first, second = one.batch(0), one.batch(1)
    assert not torch.equal(first[0][first[1].argsort()], second[0][second[1].argsort()])


@pytest.mark.parametrize("padding", ["zeros", "reflect"])
@pytest.mark.parametrize("flip", [False, True])
def test_every_input_is_a_window_of_the_padded_image(padding: Literal["zeros", "reflect"], flip: bool) -> None:
    made = batches(crop_padding=2, padding=padding, flip=flip)
    mode = "constant" if padding == "zeros" else "reflect"
    padded = np.pad(IMAGES, ((0, 0), (2, 2), (2, 2), (0, 0)), mode)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (6, 6), axis=(1, 2)).transpose(0, 1, 2, 4, 5, 3)
    seen = set()
    for step in range(40):
        inputs, labels = made.batch(step)
        for image, label in zip(pixels(inputs), labels.tolist(), strict=True):
            found = {
                (y, x, mirrored)
                for mirrored in (False, True)
                for y, x in np.argwhere(
                    (windows[label] == (image[:, ::-1] if mirrored else image)).all((2, 3, 4))
                ).tolist()
            }
            assert found
            seen |= found
    assert len({place[:2] for place in seen}) == 25
    assert {mirrored for _, _, mirrored in seen} == ({False, True} if flip else {False})


def test_parts_together_are_the_whole_batch() -> None:
    options = {"batch_size": 6, "crop_padding": 2, "padding": "reflect", "flip": True}
    parts = [batches(**options, part=(number, 3)).batch(7) for number in range(3)]
    inputs, labels = batches(**options).batch(7)
    assert torch.equal(torch.stack([part[0] for part in parts], 1).flatten(0, 1), inputs)
    assert torch.equal(torch.stack([part[1] for part in parts], 1).flatten(), labels)


def test_only_the_chosen_images_are_used() -> None:
    made = batches(indices=np.array([2, 3, 5, 7, 11, 13]))
    assert made.steps_per_epoch == 1
    assert {label for step in range(20) for label in made.batch(step)[1].tolist()} == {2, 3, 5, 7, 11, 13}


def test_inputs_are_normalised_as_for_evaluation() -> None:
    preprocessing = Preprocessing((0.5, 0.4, 0.3), (0.2, 0.3, 0.25), 6)
    made = TrainBatches(IMAGES, LABELS, preprocessing, batch_size=23, seed=0)
    inputs, labels = made.batch(0)
    (whole,) = eval_batches(IMAGES, preprocessing, 23)
    assert torch.equal(inputs, whole[labels])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 24}, "train.batch_size is 24; allowed: 1 to 23"),
        ({"batch_size": 0}, "train.batch_size is 0"),
        ({"indices": np.array([1, 2])}, "allowed: 1 to 2"),
        ({"crop_padding": 6}, "train.crop_padding is 6; allowed: 0 to 5"),
        ({"crop_padding": -1}, "train.crop_padding is -1"),
        ({"padding": "edge"}, "padding is 'edge'; allowed: 'zeros', 'reflect'"),
        ({"part": (0, 2)}, "train.batch_size is 5; give a multiple of 2"),
    ],
)
def test_options_that_cannot_be_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        batches(**options)


@given(st.integers(1, 30))
def test_evaluation_leaves_nothing_out(batch_size: int) -> None:
    parts = list(eval_batches(IMAGES, PLAIN, batch_size))
    assert (pixels(torch.cat(parts)) == IMAGES).all()
    assert max(len(part) for part in parts) == min(batch_size, 23)
    chosen = np.array([4, 2, 9])
    assert (pixels(torch.cat(list(eval_batches(IMAGES, PLAIN, batch_size, indices=chosen)))) == IMAGES[chosen]).all()
