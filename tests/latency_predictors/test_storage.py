from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from latency_predictors import CostModelPredictor, PredictorError, load_predictor, save_predictor
from search_spaces import Network

Data = tuple[list[Network], np.ndarray]


@pytest.fixture
def saved(measured: Data, tmp_path: Path) -> Path:
    save_predictor(CostModelPredictor().fit(*measured), tmp_path / "predictor")
    return tmp_path / "predictor"


def test_files_are_safetensors_and_json(saved: Path) -> None:
    assert sorted(path.name for path in saved.iterdir()) == ["predictor.json", "predictor.safetensors"]
    assert json.loads((saved / "predictor.json").read_text())["predictor"] == "cost_model"


def test_the_same_predictor_gives_the_same_bytes(saved: Path, measured: Data, tmp_path: Path) -> None:
    save_predictor(CostModelPredictor().fit(*measured), tmp_path / "again")
    for name in ("predictor.json", "predictor.safetensors"):
        assert (saved / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


@pytest.mark.parametrize("name", ["predictor.json", "predictor.safetensors"])
def test_missing_files_are_told(saved: Path, name: str) -> None:
    (saved / name).unlink()
    with pytest.raises(PredictorError, match=f"{name}.*fit it again"):
        load_predictor(saved)


def test_damaged_arrays_are_found_out(saved: Path) -> None:
    content = bytearray((saved / "predictor.safetensors").read_bytes())
    content[-1] ^= 1
    (saved / "predictor.safetensors").write_bytes(content)
    with pytest.raises(PredictorError, match="does not belong"):
        load_predictor(saved)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 99}, "another version"),
        ({"features": "other"}, "another version"),
        ({"predictor": "oracle"}, "no predictor 'oracle'"),
        ({"options": {"colour": 1}}, "colour"),
        ({"values": {}}, "floor_s"),
    ],
)
def test_cards_that_do_not_fit_are_refused(saved: Path, change: dict[str, object], message: str) -> None:
    card = json.loads((saved / "predictor.json").read_text())
    (saved / "predictor.json").write_text(json.dumps(card | change))
    with pytest.raises(PredictorError, match=message):
        load_predictor(saved)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "null"])
def test_broken_cards_are_refused(saved: Path, text: str) -> None:
    (saved / "predictor.json").write_text(text)
    with pytest.raises(PredictorError, match="again"):
        load_predictor(saved)
