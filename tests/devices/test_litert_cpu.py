"""Which of the runtime's two packages is taken."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from devices import Artifact, Format, LiteRTCPU, tensor_arena


def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take ``ai-edge-litert`` away and put its interpreter under the older package's name."""
    older: Any = ModuleType("tflite_runtime")
    older.__version__ = "2.14.0"
    older.interpreter = importlib.import_module("ai_edge_litert.interpreter")
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    monkeypatch.setitem(sys.modules, "tflite_runtime", older)


def test_older_package_is_taken_where_the_newer_is_missing(
    tiny_artifacts: dict[Format, Artifact], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ai_edge_litert")
    artifact, image = tiny_artifacts["tflite"], np.ones((1, 3, 16, 16), dtype=np.float32)
    with LiteRTCPU().open(artifact) as model:
        expected = model.predict(image)
    newer = LiteRTCPU().info()
    assert newer.runtime_version.startswith("ai-edge-litert ")
    stand_in(monkeypatch)
    device = LiteRTCPU()
    assert device.unavailable_reason() is None
    assert device.info().runtime_version == "tflite-runtime 2.14.0"
    assert device.info().key != newer.key
    with device.open(artifact) as model:
        np.testing.assert_array_equal(model.predict(image), expected)
    assert tensor_arena(artifact.read()).bytes > 0


def test_both_are_named_where_neither_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    monkeypatch.setitem(sys.modules, "tflite_runtime", None)
    reason = str(LiteRTCPU().unavailable_reason())
    assert "ai-edge-litert" in reason and "tflite-runtime" in reason
    assert LiteRTCPU().info().runtime_version == "missing"
