from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from supernet.data import Preprocessing, measure_preprocessing, resize
from supernet.errors import DataError

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (20, 8, 8, 3), dtype=np.uint8)
PREPROCESSING = Preprocessing((0.5, 0.4, 0.3), (0.25, 0.2, 0.3), 8)


def test_statistics_are_those_of_the_chosen_images() -> None:
    chosen = np.array([3, 7, 11])
    values = IMAGES[chosen] / 255
    measured = measure_preprocessing(IMAGES, chosen)
    assert np.allclose(measured.mean, values.mean(axis=(0, 1, 2)), rtol=1e-12)
    assert np.allclose(measured.std, values.std(axis=(0, 1, 2)), rtol=1e-12)
    assert measured.stored_size == 8
    assert measure_preprocessing(IMAGES).mean != measured.mean


def test_normalised_images_have_mean_0_and_deviation_1() -> None:
    inputs = measure_preprocessing(IMAGES).normalise(IMAGES)
    assert inputs.shape == (20, 3, 8, 8)
    assert inputs.dtype == np.float32
    assert inputs.flags.c_contiguous
    assert np.abs(inputs.mean(axis=(0, 2, 3))).max() < 1e-5
    assert np.abs(inputs.std(axis=(0, 2, 3)) - 1).max() < 1e-5


def test_a_constant_channel_is_not_divided_by_zero() -> None:
    flat = np.full((2, 4, 4, 3), 7, np.uint8)
    assert np.abs(measure_preprocessing(flat).normalise(flat)).max() < 1e-5


@given(st.integers(1, 5), st.integers(1, 9), st.integers(1, 9))
def test_normalise_is_the_formula_for_every_shape(count: int, height: int, width: int) -> None:
    images = np.random.default_rng(count).integers(0, 256, (count, height, width, 3), dtype=np.uint8)
    expected = (images / 255 - np.array(PREPROCESSING.mean)) / np.array(PREPROCESSING.std)
    assert np.allclose(PREPROCESSING.normalise(images), expected.transpose(0, 3, 1, 2), atol=1e-5)
    tensor = PREPROCESSING.normalise_tensor(torch.from_numpy(images))
    assert tensor.is_contiguous(memory_format=torch.channels_last)
    assert (tensor.numpy() == PREPROCESSING.normalise(images)).all()


def test_inputs_are_normalised_then_resized() -> None:
    for resolution in (4, 8, 11):
        inputs = PREPROCESSING.inputs(IMAGES, resolution)
        expected = resize(torch.from_numpy(PREPROCESSING.normalise(IMAGES)), resolution)
        assert inputs.shape == (20, 3, resolution, resolution)
        assert np.allclose(inputs, expected.numpy(), atol=1e-6)


def test_resize_is_bilinear_at_pixel_centres() -> None:
    images = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert resize(images, 2).flatten().tolist() == [2.5, 4.5, 10.5, 12.5]
    assert resize(images, 4) is images
    enlarged = resize(images, 8)[0, 0, 0]
    assert enlarged.tolist() == [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3]


def test_json_and_back() -> None:
    measured = measure_preprocessing(IMAGES)
    assert Preprocessing.from_json(json.loads(json.dumps(measured.to_json()))) == measured


@pytest.mark.parametrize(
    "change",
    [
        {"mean": None},
        {"mean": [0.1, 0.2]},
        {"std": "x"},
        {"std": [0, 1, 1]},
        {"stored_size": None},
        {"input_resize": "?"},
    ],
)
def test_damaged_json_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(DataError, match="preprocessing"):
        Preprocessing.from_json({**PREPROCESSING.to_json(), **change})
    with pytest.raises(DataError):
        Preprocessing.from_json({})
