from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from supernet.data import Split, load_split, make_split, save_split
from supernet.errors import DataError

LABELS = np.repeat(np.arange(4), 25)
PARTS = ("train", "validation", "test", "calibration")


@given(
    counts=st.lists(st.integers(4, 40), min_size=2, max_size=6),
    validation=st.floats(0, 0.4),
    test=st.floats(0, 0.3),
    seed=st.integers(0, 2**32),
    data=st.data(),
)
def test_every_image_is_in_one_part_and_classes_keep_their_shares(
    counts: list[int], validation: float, test: float, seed: int, data: st.DataObject
) -> None:
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    split = make_split(labels, validation=validation, test=test, seed=seed)
    assert sorted(np.concatenate([split.train, split.validation, split.test]).tolist()) == list(range(len(labels)))
    for share, part in ((validation, split.validation), (test, split.test)):
        held = np.bincount(labels[part], minlength=len(counts))
        # Rounded, but never to nothing.
        assert (np.abs(held - np.maximum(share * np.array(counts), share > 0)) <= 0.5).all()
        assert (held > 0).all() if share > 0 else not held.any()
    assert set(labels[split.train]) == set(range(len(counts)))
    calibration = data.draw(st.integers(0, len(split.train)))
    again = make_split(labels, validation=validation, test=test, calibration=calibration, seed=seed)
    assert len(again.calibration) == calibration
    assert np.isin(again.calibration, split.train).all()
    assert (again.train == split.train).all()


def test_calibration_is_spread_over_the_classes() -> None:
    split = make_split(LABELS, validation=0.2, calibration=12, seed=3)
    assert np.bincount(LABELS[split.calibration]).tolist() == [3, 3, 3, 3]


def test_seed_decides() -> None:
    one, same, other = (make_split(LABELS, validation=0.2, calibration=8, seed=seed) for seed in (1, 1, 2))
    assert (one.validation == same.validation).all()
    assert (one.calibration == same.calibration).all()
    assert (one.validation != other.validation).any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"validation": -0.1}, "allowed: shares from 0 up"),
        ({"validation": 0.6, "test": 0.4}, "together below 1"),
        ({"validation": 0.2, "calibration": 81}, r"split\.calibration is 81; allowed: 0 to 80"),
        ({"validation": 0.99}, "leave none to train on"),
        ({"validation": float("nan")}, "allowed: shares"),
    ],
)
def test_impossible_divisions_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(DataError, match=message):
        make_split(LABELS, **options)  # type: ignore[arg-type]


def test_a_class_with_too_few_images_is_told_by_its_name() -> None:
    labels = np.array([0, 0, 1, 1, 1, 1])
    told = "class 'cat' has 2 images; validation and test would leave none to train on"
    with pytest.raises(DataError, match=told):
        make_split(labels, validation=0.2, test=0.2, class_names=("cat", "dog"))


def test_parts_that_overlap_are_refused() -> None:
    parts = {"train": [0, 1], "validation": [2], "test": [3], "calibration": [1]}
    for name, indices in (("validation", [1]), ("test", [2]), ("calibration", [2])):
        with pytest.raises(DataError, match="divide the images anew"):
            Split(**{key: np.array(value) for key, value in {**parts, name: indices}.items()})


def test_recorded_split_comes_back_for_the_same_images_only(tmp_path: Path) -> None:
    path = tmp_path / "run" / "split.json"
    split = make_split(LABELS, validation=0.2, test=0.1, calibration=5, seed=0)
    save_split(split, path, "abc")
    again = load_split(path, "abc")
    for name in PARTS:
        assert getattr(again, name).dtype == np.int64
        assert (getattr(again, name) == getattr(split, name)).all()
    assert [file.name for file in path.parent.iterdir()] == ["split.json"]
    with pytest.raises(DataError, match="made for images of digest abc; those loaded have xyz"):
        load_split(path, "xyz")


BEYOND = json.dumps({"version": 1, "data_digest": "abc", **{part: [10**30] for part in PARTS}})


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"version": 2}', BEYOND, "[" * 100_000, None])
def test_damaged_records_are_refused(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "split.json").write_text(content)
    with pytest.raises(DataError, match="cannot be read as a split"):
        load_split(tmp_path / "split.json", "abc")


def test_a_record_edited_to_leak_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "split.json"
    save_split(make_split(LABELS, validation=0.2, seed=0), path, "abc")
    values = json.loads(path.read_text())
    values["train"] += values["validation"][:1]
    path.write_text(json.dumps(values))
    with pytest.raises(DataError, match="is in two of"):
        load_split(path, "abc")
