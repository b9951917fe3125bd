from __future__ import annotations

import pytest

from devices import Artifact, DeviceError, Format, LiteRTCPU, tensor_arena
from devices.litert_arena import _covered


@pytest.fixture(autouse=True)
def runtime() -> None:
    if reason := LiteRTCPU().unavailable_reason():
        pytest.skip(reason)


def test_arena_holds_the_tensors_that_are_alive_together(tiny_int8_artifacts: dict[Format, Artifact]) -> None:
    # 16 by 16 by 3 in float32, the same as int8 padded on one side for the stride, and 8 by 8 by 8 out.
    arena = tensor_arena(tiny_int8_artifacts["tflite"].read())
    image, quantised, padded, made = 4 * 3 * 16 * 16, 3 * 16 * 16, 3 * 18 * 18, 8 * 8 * 8
    assert (
        max(quantised + 3 * 17 * 17, 3 * 17 * 17 + made) <= arena.without_image_bytes <= quantised + padded + made + 192
    )
    assert image <= arena.bytes - arena.without_image_bytes <= image + 64


def test_weights_are_no_part_of_it(tiny_artifacts: dict[Format, Artifact]) -> None:
    content = tiny_artifacts["tflite"].read()
    assert tensor_arena(content) == tensor_arena(content + bytes(4096))


def test_malformed_file_is_an_error() -> None:
    with pytest.raises(DeviceError, match="cannot lay out"):
        tensor_arena(b"this is no model" * 10)


def test_missing_runtime_is_an_error_that_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise ModuleNotFoundError("No module named 'ai_edge_litert'")

    monkeypatch.setattr("devices.litert_arena.load_runtime", missing)
    with pytest.raises(DeviceError, match="pip install ai-edge-litert"):
        tensor_arena(b"")


def test_blocks_are_counted_without_what_lies_between_them() -> None:
    assert _covered([]) == 0
    assert _covered([(100, 200), (150, 180), (190, 300), (320, 400)]) == 300
    assert _covered([(100, 200), (100_000, 100_050)]) == 150
