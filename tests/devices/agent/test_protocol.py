from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from devices import Artifact, FakeDevice, MeasureSettings
from devices.agent import protocol
from devices.agent.protocol import MeasureRequest, PredictRequest
from devices.agent.wire import WireError, dump, parse_object

Model = Callable[..., Artifact]


@pytest.fixture
def request_(model: Model, settings: MeasureSettings) -> MeasureRequest:
    return MeasureRequest("me", "cpu", model(), settings)


def test_requests_come_back_without_the_path(request_: MeasureRequest) -> None:
    message = parse_object(dump(request_.to_json()))
    found = MeasureRequest.from_json(message)
    assert found == replace(request_, artifact=replace(request_.artifact, path=found.artifact.path))
    assert str(request_.artifact.path.parent) not in str(message)
    asked = PredictRequest("me", "cpu", found.artifact, 2, 3)
    assert PredictRequest.from_json(parse_object(dump(asked.to_json()))) == asked
    assert asked.images_bytes == 4 * 3 * 3 * 8 * 8


def test_one_key_for_one_file_device_and_settings(request_: MeasureRequest) -> None:
    slower = replace(request_.settings, timeout_s=99.0)
    assert replace(request_, client="you", settings=slower).key == request_.key
    others = [
        replace(request_, device="gpu"),
        replace(request_, settings=replace(request_.settings, threads=2)),
        replace(request_, artifact=replace(request_.artifact, sha256="0" * 64)),
        replace(request_, artifact=replace(request_.artifact, workload=None)),
    ]
    assert len({request_.key, *(other.key for other in others)}) == 5


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("version",), 2), (("version",), "1"), (("client",), "a/b"), (("device",), None), (("extra",), 1),
        (("artifact",), []), (("settings",), "fast"), (("artifact", "path"), "/etc/passwd"),
        (("artifact", "sha256"), "../../etc/passwd"), (("artifact", "format"), ["onnx"]),
        (("artifact", "format"), "exe"),
        (("artifact", "precision"), "int3"), (("artifact", "input_shape"), [3, 8]),
        (("artifact", "input_shape"), [3, 8, True]), (("artifact", "input_shape"), [3, 8, 2**40]),
        (("artifact", "input_shape"), [60_000, 60_000, 60_000]), (("artifact", "workload"), {"macs": 1}),
        (("artifact", "workload", "macs"), -1), (("settings", "threads"), 10**9), (("settings", "timeout_s"), "1"),
        (("settings", "min_time_s"), 10**400), (("settings", "colour"), 1), (("settings", "max_time_s"), None),
    ],
)  # fmt: skip
def test_what_is_no_request_is_refused(place: tuple[str, ...], value: Any, request_: MeasureRequest) -> None:
    message = parse_object(dump(request_.to_json()))
    inner = message
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = value
    with pytest.raises(WireError):
        MeasureRequest.from_json(message)


@pytest.mark.parametrize("change", [{"threads": 0}, {"count": -1}, {"count": 2**60}, {"threads": 1.0}, {"more": 1}])
def test_what_is_no_prediction_is_refused(change: dict[str, Any], model: Model) -> None:
    message = {**PredictRequest("me", "cpu", model(), 1, 1).to_json(), **change}
    with pytest.raises(WireError):
        PredictRequest.from_json(message)


def test_identities_come_back(request_: MeasureRequest) -> None:
    info = FakeDevice(seed=2).info()
    assert protocol.info_from_json({**parse_object(dump(info.to_json())), "later": "field"}) == info


@pytest.mark.parametrize("change", [{"options": []}, {"options": {"a": 1}}, {"cpu": {}}, {"cores": None, "name": []}])
def test_what_is_no_identity_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(WireError):
        protocol.info_from_json({**FakeDevice().info().to_json(), **change})
    with pytest.raises(WireError):
        protocol.info_from_json({"name": "board"})


def test_measurements_come_back_under_the_name_they_have_here(request_: MeasureRequest) -> None:
    made = FakeDevice().measure(request_.artifact, request_.settings)
    found = protocol.measurement_from_json(parse_object(dump(made.to_json())), request_, "remote")
    assert found == replace(made, device="remote")


@pytest.mark.parametrize(
    "change",
    [
        {"artifact_sha256": "0" * 64}, {"format": "tflite"}, {"settings": {}}, {"settings": {"threads": 2}},
        {"latencies_s": []}, {"latencies_s": [-1.0]}, {"latencies_s": ["fast"]}, {"latencies_s": [10**400]},
        {"latencies_s": [1e-3, 0.0]}, {"latencies_s": [5e-324]}, {"latencies_s": [1e300]},
        {"latencies_s": None}, {"load_s": "quick"}, {"load_s": -1}, {"peak_memory_bytes": True}, {"error": "too"},
        {"environment": []}, {"source": "predicted"}, {"colour": "blue"},
    ],
)  # fmt: skip
def test_what_is_not_the_measurement_that_was_asked_for_is_refused(
    change: dict[str, Any], request_: MeasureRequest
) -> None:
    made = FakeDevice().measure(request_.artifact, request_.settings).to_json()
    with pytest.raises(WireError):
        protocol.measurement_from_json({**made, **change}, request_, "remote")


def test_the_older_side_is_told_to_update() -> None:
    assert "update this side" in protocol.version_mismatch([3, 4])
    assert "update the other side" in protocol.version_mismatch([0])
    assert "none" in protocol.version_mismatch([])
