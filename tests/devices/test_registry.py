from __future__ import annotations

import pytest

from devices import DeviceError, FakeDevice, describe_device, device_names, get_device, register_device


def test_all_devices_are_there_and_described() -> None:
    assert {"fake", "litert_cpu", "onnxruntime_cpu"} <= set(device_names())
    for name in device_names():
        assert describe_device(name).endswith(".")


def test_options_reach_the_device() -> None:
    assert dict(get_device("fake", {"seed": 7}).info().options)["seed"] == "7"


@pytest.mark.parametrize("ask", [get_device, describe_device])
def test_unknown_name_is_an_error_that_tells_the_known_ones(ask: object) -> None:
    with pytest.raises(DeviceError, match="onnxruntime_cpu"):
        ask("toaster")  # type: ignore[operator]


@pytest.mark.parametrize(
    ("name", "options"), [("fake", {"colour": 1}), ("onnxruntime_cpu", {"x": 1}), ("fake", {"noise": "much"})]
)
def test_wrong_options_are_an_error(name: str, options: dict[str, object]) -> None:
    with pytest.raises(DeviceError, match=name):
        get_device(name, options)


def test_name_cannot_be_taken_twice() -> None:
    with pytest.raises(DeviceError, match="already"):
        register_device("fake")(FakeDevice)
