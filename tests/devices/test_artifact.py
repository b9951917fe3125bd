from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from devices import Artifact, DeviceError, Workload


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"model")
    return path


def describe(path: Path, **changes: Any) -> Artifact:
    return Artifact.from_file(path, **{"format": "onnx", "precision": "int8", "input_shape": (3, 8, 8), **changes})


def test_digest_is_that_of_the_content(model: Path) -> None:
    artifact = describe(model)
    assert artifact.sha256 == hashlib.sha256(b"model").hexdigest()
    assert artifact.read() == b"model"


def test_changed_file_is_refused(model: Path) -> None:
    artifact = describe(model)
    model.write_bytes(b"another")
    with pytest.raises(DeviceError, match="has changed"):
        artifact.read()


@pytest.mark.parametrize("place", ["missing.onnx", "."])
def test_file_that_cannot_be_read_is_an_error(tmp_path: Path, place: str) -> None:
    with pytest.raises(DeviceError, match="cannot read the model file"):
        describe(tmp_path / place)


def test_json_round_trip(model: Path) -> None:
    for workload in (None, Workload(1, 2, 3)):
        artifact = describe(model, workload=workload)
        assert Artifact.from_json(json.loads(json.dumps(artifact.to_json()))) == artifact


@pytest.mark.parametrize(
    "change",
    [
        {"format": "pickle"},
        {"precision": "float16"},
        {"input_shape": (3, 8)},
        {"input_shape": (3, 8, 0)},
        {"input_shape": None},
        {"sha256": "short"},
        {"sha256": "G" * 64},
        {"workload": {"macs": 1}},
        {"colour": "blue"},
        {"path": 3},
    ],
)
def test_json_of_no_artifact_is_an_error(model: Path, change: dict[str, Any]) -> None:
    with pytest.raises(DeviceError):
        Artifact.from_json({**describe(model).to_json(), **change})
